"""`prow-async run` as a person at a terminal, a script in a pipe and a cluster's user run it."""

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from tests import realkube
from tests.e2e.program import PROGRAM, until
from tests.gitrepo import git

MAIN = """
pod_namespace: tests
plank:
  default_decoration_configs:
    '*':
      utility_images: {clonerefs: x/clonerefs, initupload: x/initupload, entrypoint: x/entrypoint, sidecar: x/sidecar}
      gcs_configuration: {bucket: b, path_strategy: explicit}
      gcs_credentials_secret: gcs
"""
JOBS = """
presubmits:
  o/r:
  - name: plain
    spec: {containers: [{image: i, command: [sh, -c, "echo one; echo two >&2; exit 3"]}]}
  - name: unit
    decorate: true
    spec:
      containers:
      - image: i
        command: [sh, -c, "cat file; git log --format=%s | sort; echo kept > $ARTIFACTS/made; exit 4"]
        env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}]
  - name: two
    decorate: true
    spec:
      containers:
      - {name: left, image: i, command: [sh, -c, "echo from left"]}
      - {name: right, image: i, command: [sh, -c, "echo from right"]}
  - name: flood
    spec: {containers: [{image: i, command: [sh, -c, "seq 1 31415926"]}]}
  - name: endless
    spec: {containers: [{image: i, command: [sh, -c, "echo begun; sleep 31415 & wait"]}]}
postsubmits:
  o/r:
  - name: after
    decorate: true
    spec: {containers: [{image: i, command: [sh, -c, "echo at $PULL_BASE_SHA; git rev-parse HEAD"]}]}
periodics:
- name: nightly
  interval: 24h
  decorate: true
  extra_refs: [{org: o, repo: r, base_ref: main}]
  spec: {containers: [{image: i, command: [cat, file]}]}
"""


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.copy = folder / "copy"
        self.copy.mkdir()
        (folder / "config.yaml").write_text(MAIN)
        (folder / "jobs.yaml").write_text(JOBS)
        git(self.copy, "init", "--quiet", "-b", "main")
        git(self.copy, "remote", "add", "origin", "https://github.com/o/r.git")
        (self.copy / "file").write_text("committed\n")
        git(self.copy, "add", ".")
        git(self.copy, "commit", "--quiet", "-m", "first")

    def command(self, *arguments: str) -> list[str]:
        where = [f"--config-path={self.folder / 'config.yaml'}", f"--job-config-path={self.folder / 'jobs.yaml'}"]
        return [str(PROGRAM), "run", *arguments, *where, f"--artifacts={self.folder / 'artifacts'}"]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*arguments), env=self.env, stdout=pipe, stderr=pipe, text=True)

    def artifacts(self, job: str) -> Path:
        """Return the folder of a job's only run."""
        (found,) = (self.folder / "artifacts" / job).iterdir()
        return found

    def left_behind(self) -> list[Path]:
        return list((self.folder / "cache" / "prow-async" / "runs").iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_undecorated_job(place: Place) -> None:
    """Its output, its exit code; nothing else on standard output."""
    done = place.run("plain", "--base-sha=abc")
    assert (done.returncode, done.stdout) == (3, "one\ntwo\n")
    assert re.search(r"^x test \d+\.\d\d s, exit code 3$", done.stderr, re.MULTILINE)
    assert "plain failed: ended with 3\n" in done.stderr
    assert place.left_behind() == []


def test_the_working_copy_with_what_is_not_committed(place: Place) -> None:
    """It is cloned and merged as a pull request; the copy itself stays as it was; log and artifacts are kept."""
    (place.copy / "file").write_text("changed\n")
    (place.copy / "ignored").write_text("no\n")
    (place.copy / ".gitignore").write_text("ignored\n")
    before = git(place.copy, "status", "--porcelain"), sorted(place.copy.rglob("*"))
    done = place.run("unit", cwd=place.copy)
    assert (git(place.copy, "status", "--porcelain"), sorted(place.copy.rglob("*"))) == before
    assert done.returncode == 4, done.stderr
    assert done.stdout.startswith("changed\n")
    assert "What is not committed yet\nfirst\n" in done.stdout
    assert "TOKEN is not set" in done.stderr
    kept = place.artifacts("unit")
    assert (kept / "artifacts" / "made").read_text() == "kept\n"
    assert (kept / "build-log.txt").read_text().startswith("changed\n")
    finished = json.loads((kept / "finished.json").read_text())
    assert (finished["passed"], finished["result"]) == (False, "FAILURE")
    steps = re.findall(r"^[-x] ([a-z-]+) \d", done.stderr, re.MULTILINE)
    assert steps == ["clonerefs", "initupload", "place-entrypoint", "test", "sidecar"]
    assert place.left_behind() == []


def test_containers_are_told_apart(place: Place) -> None:
    """Several tests: each line says whose it is."""
    done = place.run("two", f"--local={place.copy}")
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if "from" in line) == [
        "[left] from left",
        "[right] from right",
    ]


def test_a_postsubmit_and_a_periodic_take_the_working_copy(place: Place) -> None:
    """As the commit under test, and in place of the extra ref that is its origin."""
    head = git(place.copy, "rev-parse", "HEAD")
    assert place.run("after", f"--local={place.copy}").stdout == f"at {head}\n{head}\n"
    assert place.run("nightly", f"--local={place.copy}").stdout == "committed\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name one job"),
        (["none"], "no job named 'none'"),
        (["plain", "unit"], "name one job"),
        (["unit"], "say which code of o/r to run on: --local FOLDER, --pull NUMBER or --base-sha SHA"),
        (["unit", "--local=/nowhere"], "/nowhere: no such folder"),
        (["unit", "--local=.", "--base-sha=a"], "choose"),
        (["after", "--pull=3"], "--pull is for presubmits"),
        (["plain", "--base-sha=a", "--build-id=../x"], "use letters, digits"),
        (["plain", "--base-sha=a", "--on-cluster=none", "--kubeconfig=/nowhere"], "/nowhere"),
    ],
)
def test_a_mistake_is_one_line(place: Place, arguments: Sequence[str], told: str) -> None:
    """With what to do, exit code 2."""
    done = place.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_repository_that_cannot_be_cloned(place: Place) -> None:
    """What failed of the clone is shown, and only that; the test never runs."""
    git(place.copy, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", place.copy.as_uri(), "sub")
    git(place.copy, "commit", "--quiet", "-m", "with a submodule that a job may not fetch")
    done = place.run("unit", f"--local={place.copy}")
    assert done.returncode == 1, done.stderr
    assert "x initupload" in done.stderr
    assert "unit failed: initupload ended with 1" in done.stderr
    (command,) = [line for line in done.stdout.splitlines() if "Command failed" in line]
    assert "git submodule update" in command
    assert "Ran command" not in done.stdout
    assert not (place.artifacts("unit") / "artifacts").exists()


def test_a_branch_that_cannot_be_is_a_mistake(place: Place) -> None:
    done = place.run("after", f"--local={place.copy}", "--base-ref=ma..in")
    assert done.returncode == 2
    assert "ma..in" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["shallow", "worktree", "detached", "below", "odd"])
def test_working_copies_of_every_kind(place: Place, kind: str) -> None:
    """Each is cloned with all the history it has, from wherever it lies and whatever its files are called."""
    for subject in ("second", "third"):
        git(place.copy, "commit", "--quiet", "--allow-empty", "-m", subject)
    folder, subjects = place.folder / kind, ["first", "second", "third"]
    if kind == "shallow":
        git(place.folder, "clone", "--quiet", "--depth=2", place.copy.as_uri(), str(folder))
        subjects = ["second", "third"]
    elif kind == "worktree":
        git(place.copy, "worktree", "add", "--quiet", "-b", "topic", str(folder))
    elif kind == "detached":
        folder = place.copy
        git(folder, "checkout", "--quiet", "HEAD~1")
        subjects = ["first", "second"]
    elif kind == "below":
        folder = place.copy / "deep"
        folder.mkdir()
    else:
        folder = place.folder / os.fsdecode(b" sp\xc3\xa4ce \xff")
        place.copy.rename(folder)
        (folder / os.fsdecode(b"n\n\xff")).write_text("odd")
        subjects = ["Merge", "What is not committed yet", *subjects]
    done = place.run("unit", f"--local={folder}")
    assert done.returncode == 4, done.stderr
    content, *log = done.stdout.splitlines()
    assert content == "committed"
    shown = ["Merge" if line.startswith("Merge commit") else line for line in log if not line.startswith("{")]
    assert shown == sorted(subjects), done.stdout


@pytest.mark.parametrize("kind", ["bare", "unborn", "none", "file"])
def test_folders_that_are_no_working_copy(place: Place, kind: str) -> None:
    """One line says why."""
    folder = place.folder / kind
    told = {
        "bare": "is a bare repository",
        "unborn": "has no commit yet",
        "none": "not a git repo",
        "file": "no folder",
    }
    if kind == "bare":
        git(place.folder, "clone", "--quiet", "--bare", str(place.copy), str(folder))
    elif kind == "unborn":
        git(place.folder, "init", "--quiet", str(folder))
    elif kind == "none":
        folder.mkdir()
    else:
        folder.touch()
    done = place.run("unit", f"--local={folder}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told[kind] in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end(place: Place, number: int) -> None:
    """It ends what it started, and says so."""
    with place.started("endless", "--base-sha=a") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"stopped by {signal.Signals(number).name}" in err
    assert "Traceback" not in err
    assert place.left_behind() == []
    until(lambda: b"sleep\x0031415" not in _commands(), "nothing goes on")


@pytest.mark.parametrize("arguments", [("flood", "--base-sha=a"), ("--help",)])
def test_nobody_reads_on(place: Place, arguments: Sequence[str]) -> None:
    """As `| head -1`: the run is over, and nothing is said of it."""
    with place.started(*arguments) as process:
        assert process.stdout is not None
        if arguments[0] == "flood":
            assert process.stdout.readline() == "1\n"
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(60) in ({141} if arguments[0] == "flood" else {0, 141})
    assert "Traceback" not in err
    assert "Exception" not in err
    assert arguments[0] != "flood" or place.left_behind() == []
    until(lambda: b"seq\x001\x0031415926" not in _commands(), "nothing goes on")


def _commands() -> set[bytes]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(entry.read_bytes().rstrip(b"\0"))
        except OSError:
            continue
    return found


def test_on_a_terminal(place: Place) -> None:
    """A spinner while code is cloned, gone without a trace; colours and control characters of the log stay its own."""
    ours, theirs = pty.openpty()
    command = place.command("nightly", f"--local={place.copy}")
    with subprocess.Popen(command, env=place.env, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = _all_of(ours)
        assert process.stdout is not None
        assert process.stdout.read() == b"committed\n"
        assert process.wait() == 0
    text = shown.decode()
    assert re.search(r"[|/\\-] clonerefs 0\.\d s", text)
    assert _on_screen(text)[-1].startswith("nightly succeeded; log and artifacts are in ")
    assert [line for line in _on_screen(text) if re.match(r"[|/\\] ", line)] == []


def _all_of(terminal: int) -> bytes:
    """Read a terminal until nobody writes to it any more."""
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            os.close(terminal)
            return shown
        shown += piece


def _on_screen(text: str) -> list[str]:
    """Return the lines that stay, as a terminal that knows return and erase shows them."""
    lines = [line.rpartition("\r\x1b[K")[2] for line in text.replace("\r\n", "\n").split("\n")]
    return [line for line in lines if line]


@pytest.mark.real
@pytest.mark.xdist_group("real_kube")
def test_on_a_cluster(place: Place, real_kube: realkube.Server) -> None:
    """The same pod is created there; without a kubelet it is followed until somebody deletes it."""
    real_kube.ensure("/api/v1/namespaces", {"metadata": {"name": "tests"}})
    context = yaml.safe_load(real_kube.kubeconfig.read_text())["current-context"]
    where = f"--on-cluster={context}", f"--kubeconfig={real_kube.kubeconfig}"
    with place.started("plain", "--base-sha=a", *where) as process:
        assert process.stderr is not None
        name = process.stderr.readline().split()[1].partition("/")[2]
        path = f"/api/v1/namespaces/tests/pods/{name}"
        pod = real_kube.request("GET", path)
        shown = yaml.safe_load(place.run("plain", "--base-sha=a", "--print-pod").stdout)
        assert _command(pod) == _command(shown)
        assert pod["metadata"]["labels"].keys() == shown["metadata"]["labels"].keys()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    with pytest.raises(realkube.Answered, match="404"):
        real_kube.request("GET", path)


def _command(pod: Mapping[str, object]) -> object:
    spec = pod["spec"]
    assert isinstance(spec, dict)
    return spec["containers"][0]["command"]
