"""`prow-async run --print-pod` shows the pod that `mkpj` and `mkpod` make, for every production job."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import yaml

from prow_async.apps import mkpj, mkpod, run

REAL = Path(__file__).parents[3] / "shared" / "real" / "prow-config" / "config"
BUILD_ID = "1234567890123456789"
FILES = sorted(path for path in (REAL / "jobs").rglob("*") if path.suffix in {".yaml", ".yml"})
CODE = ("--base-ref=main", f"--base-sha={'b0' * 20}", f"--pull-sha={'c0' * 20}", "--pull-author=ann")

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no production configuration beside the checkout")


def jobs_of(path: Path) -> list[tuple[str, bool]]:
    """Return the names in a job file, each once as `mkpj` finds it, and whether it is a presubmit."""
    parsed = yaml.load(path.read_bytes(), yaml.CSafeLoader) or {}
    found: dict[str, bool] = {}
    for kind, pull in (("presubmits", True), ("postsubmits", False)):
        for jobs in (parsed.get(kind) or {}).values():
            for job in jobs:
                found.setdefault(job["name"], pull)
    for job in parsed.get("periodics") or ():
        found.setdefault(job["name"], False)
    return list(found.items())


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files that hold presets: every job may need them."""
    return [path for path in FILES if b"\npresets:" in b"\n" + path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_pod_of_run_is_that_of_mkpod(
    path: Path,
    presets: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Byte for byte, but for the ProwJob's name, which each makes anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, one in enumerate({path, *presets}):
        (tmp_path / f"{number}.yaml").symlink_to(one)
    config = [f"--config-path={REAL / 'prow' / 'config.yaml'}", f"--job-config-path={tmp_path}"]
    for name, pull in jobs_of(path):
        code = [*CODE, "--pull-number=5"] if pull else [*CODE[:2]]
        assert mkpj.main([f"--job={name}", *config, *code]) == 0
        job = capsys.readouterr().out
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(job.encode())))
        assert mkpod.main(["--prow-job=-", f"--build-id={BUILD_ID}"]) == 0
        expected = capsys.readouterr().out
        code = [*CODE, "--pull=5"] if pull else [*CODE[:2]]
        assert run.main([name, "--print-pod", f"--build-id={BUILD_ID}", *config, *code]) == 0
        shown = capsys.readouterr().out
        assert without_name(shown) == without_name(expected), name


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what the programs, run in this process, set up for their logs."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_every_job_is_compared() -> None:
    """Of the 355, those that share a name within a file count once."""
    assert sum(len(jobs_of(path)) for path in FILES) > 340


def without_name(pod: str) -> str:
    return pod.replace(yaml.load(pod, yaml.CSafeLoader)["metadata"]["name"], "NAME")
