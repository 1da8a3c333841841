"""sidecar on real files: what it uploads, when, and what never leaves the pod."""

import contextlib
import ctypes
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.contract import podutil_parts as parts

REFS = {"org": "o", "repo": "r", "base_ref": "main", "base_sha": "abc", "pulls": [{"number": 5, "sha": "def"}]}
RUN = "bucket/pr-logs/pull/o_r/5/unit/7"
SECRET = "s3cr3t-t0ken"


class Pod:
    """A pod's folders, and what its sidecar is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.artifacts = self.logs / "artifacts"
        self.artifacts.mkdir(parents=True)
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        (folder / "bucket").mkdir()
        self.options: dict[str, Any] = {
            "gcs_options": {
                "items": [str(self.artifacts)],
                "bucket": f"file://{folder}/bucket",
                "path_strategy": "explicit",
                "dry_run": False,
            },
            "entries": [self.entry("")],
            "censoring_options": {},
        }

    def entry(self, name: str) -> dict[str, Any]:
        begin = f"{name}-" if name else ""
        return {
            "args": ["make", name or "test"],
            "container_name": name,
            "process_log": str(self.logs / (f"{begin}log.txt" if name else "process-log.txt")),
            "marker_file": str(self.logs / (f"{begin}marker.txt" if name else "marker-file.txt")),
            "metadata_file": str(self.artifacts / f"{begin}metadata.json"),
        }

    def environ(self) -> dict[str, str]:
        spec = {"type": "presubmit", "job": "unit", "buildid": "7", "prowjobid": "p", "refs": REFS}
        return {"SIDECAR_OPTIONS": json.dumps(self.options), "JOB_SPEC": json.dumps(spec)}

    def mark(self, code: object = 0, name: str = "marker-file.txt") -> None:
        partial = self.logs / "partial"
        partial.write_text(str(code))
        partial.rename(self.logs / name)

    def run(self, **more: Any) -> parts.Ended:
        return parts.run("sidecar", self.environ(), **more)

    def uploaded(self, name: str) -> bytes:
        return (self.folder / RUN / name).read_bytes()

    def names(self) -> list[str]:
        run = self.folder / RUN
        return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())

    def finished(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.uploaded("finished.json"))
        del found["timestamp"]
        return found

    def keep_secret(self, secret: bytes | str = SECRET, name: str = "token") -> None:
        (self.secrets / name).write_bytes(secret if isinstance(secret, bytes) else secret.encode())
        self.options["censoring_options"] = {"secret_directories": [str(self.secrets)], "censoring_buffer_size": 8192}


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def test_a_passed_test(pod: Pod) -> None:
    (pod.logs / "process-log.txt").write_bytes(b"ok\n\xff")
    (pod.artifacts / "junit.xml").write_text("<x/>")
    pod.mark()
    done = pod.run()
    assert done.code == 0
    assert pod.names() == ["artifacts/junit.xml", "build-log.txt", "finished.json", "sidecar-logs.json"]
    assert pod.uploaded("build-log.txt") == b"ok\n\xff"
    assert pod.uploaded("artifacts/junit.xml") == b"<x/>"
    keys = list(json.loads(pod.uploaded("finished.json")))
    assert keys == ["timestamp", "passed", "result", "revision"]
    assert pod.finished() == {"passed": True, "result": "SUCCESS", "revision": "def"}
    assert (pod.folder / "bucket/pr-logs/directory/unit/latest-build.txt").read_text() == "7"
    own = [json.loads(line) for line in pod.uploaded("sidecar-logs.json").splitlines()]
    assert {line["component"] for line in own} == {"sidecar"}


def test_it_waits_for_all_tests(pod: Pod) -> None:
    pod.options["entries"] = [pod.entry("a"), pod.entry("b")]
    for name in "ab":
        (pod.logs / f"{name}-log.txt").write_text(name)
        (pod.artifacts / f"{name}-metadata.json").write_text(json.dumps({"both": name, name: 1}))
    pod.mark(0, "a-marker.txt")
    with parts.started("sidecar", pod.environ()) as process:
        assert not (pod.folder / RUN).exists()
        pod.mark(0, "b-marker.txt")
        assert parts.ended(process).code == 0
    assert pod.uploaded("a-build-log.txt") == b"a"
    assert pod.uploaded("b-build-log.txt") == b"b"
    assert pod.finished()["metadata"] == {"a": 1, "b": 1, "both": "b"}


@pytest.mark.parametrize(
    ("codes", "passed", "result", "failures"),
    [
        ([0, 0], True, "SUCCESS", 0),
        ([1, 1130], False, "FAILURE", 1),
        ([130, 1130], False, "ABORTED", 1),
        ([127, 0], False, "FAILURE", 1),
        ([0, "x"], False, "FAILURE", 1),
        ([-1, 2], False, "FAILURE", 2),
    ],
)
def test_codes_and_results(pod: Pod, codes: list[object], passed: bool, result: str, failures: int) -> None:
    pod.options["entries"] = [pod.entry("a"), pod.entry("b")]
    pod.options["entry_error"] = True
    for name, code in zip("ab", codes, strict=True):
        pod.mark(code, f"{name}-marker.txt")
    done = pod.run()
    assert (pod.finished()["passed"], pod.finished()["result"]) == (passed, result)
    assert done.code == (1 if failures else 0)
    if failures:
        assert done.lines()[-1]["msg"] == f"{failures} containers failed"


def test_told_to_end_it_uploads_what_there_is_and_then_the_rest(pod: Pod) -> None:
    (pod.logs / "process-log.txt").write_text("half")
    with parts.started("sidecar", pod.environ()) as process:
        assert process.stderr is not None
        listening(process.pid)
        process.send_signal(signal.SIGTERM)
        while b"Best-effort upload was successful" not in process.stderr.readline():
            assert process.poll() is None
        assert pod.finished() == {"passed": False, "result": "ABORTED", "revision": "def"}
        assert pod.uploaded("build-log.txt") == b"half"
        process.send_signal(signal.SIGTERM)
        (pod.logs / "process-log.txt").write_text("whole")
        pod.mark()
        assert parts.ended(process).code == 0
    assert pod.finished()["result"] == "SUCCESS"
    assert pod.uploaded("build-log.txt") == b"whole"


def test_told_to_end_while_it_uploads_it_finishes(pod: Pod) -> None:
    for number in range(300):
        (pod.artifacts / f"{number}").write_text("x")
    pod.mark()
    with parts.started("sidecar", pod.environ()) as process:
        assert process.stderr is not None
        while b"Starting to upload" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert parts.ended(process).code == 0
    assert len(pod.names()) == 303
    assert pod.finished()["result"] == "SUCCESS"


def test_it_may_be_told_to_ignore_that(pod: Pod) -> None:
    pod.options["ignore_interrupts"] = True
    with parts.started("sidecar", pod.environ()) as process:
        assert process.stderr is not None
        listening(process.pid)
        process.send_signal(signal.SIGTERM)
        assert b"ignoring" in process.stderr.readline()
        assert not (pod.folder / RUN).exists()
        pod.mark()
        assert parts.ended(process).code == 0
    assert pod.finished()["result"] == "SUCCESS"


def listening(pid: int) -> None:
    """Wait until a process handles SIGTERM."""
    while True:
        caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in line)
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return


def test_a_log_that_is_not_there_says_so(pod: Pod) -> None:
    pod.mark(127)
    pod.run()
    assert pod.uploaded("build-log.txt").decode().startswith(f"Failed to open {pod.logs}/process-log.txt: ")


def test_metadata_that_does_not_read_is_told_in_finished_json(pod: Pod) -> None:
    pod.options["entries"] = [pod.entry("a"), pod.entry("b"), pod.entry("c"), pod.entry("d")]
    (pod.artifacts / "a-metadata.json").write_text("{")
    (pod.artifacts / "b-metadata.json").write_text("[1]")
    (pod.artifacts / "c-metadata.json").write_text('{"k": {"<": 1.5}}')
    for name in "abcd":
        pod.mark(0, f"{name}-marker.txt")
    pod.run()
    metadata = pod.finished()["metadata"]
    assert metadata["k"] == {"<": 1.5}
    assert sorted(metadata["sidecar-errors"]) == ["entry 0: make a", "entry 1: make b"]
    assert b'"\\u003c"' in pod.uploaded("finished.json")


def test_links_out_of_the_logs_are_not_followed(pod: Pod) -> None:
    (pod.secrets / "credentials.json").write_text('{"private_key": "KEY"}')
    (pod.logs / "process-log.txt").symlink_to(pod.secrets / "credentials.json")
    (pod.artifacts / "metadata.json").symlink_to(pod.secrets / "credentials.json")
    (pod.artifacts / "link").symlink_to(pod.secrets)
    pod.mark()
    pod.run()
    assert pod.finished()["passed"] is True
    assert all(b"KEY" not in (pod.folder / RUN / name).read_bytes() for name in pod.names())


def test_a_folder_swapped_for_a_link_is_not_followed(pod: Pod) -> None:
    (pod.secrets / "metadata.json").write_text('{"private_key": "KEY"}')
    pod.artifacts.rmdir()
    pod.artifacts.symlink_to(pod.secrets)
    pod.mark()
    pod.run()
    assert all(b"KEY" not in (pod.folder / RUN / name).read_bytes() for name in pod.names())


def test_odd_artifacts(pod: Pod) -> None:
    (pod.artifacts / "empty folder").mkdir()
    (pod.artifacts / "empty").touch()
    os.mkfifo(pod.artifacts / "fifo")
    (pod.artifacts / "inside").symlink_to("empty")
    (pod.artifacts / "loop").symlink_to("loop")
    os.close(os.open(bytes(pod.artifacts) + b"/\xff#name", os.O_CREAT | os.O_WRONLY))
    pod.mark()
    pod.keep_secret()
    done = pod.run()
    assert done.code == 0
    assert [name for name in pod.names() if "artifacts" in name] == [
        "artifacts/empty",
        "artifacts/inside",
        "artifacts/�%23name",
    ]


def test_secrets_are_taken_out_of_logs_and_artifacts(pod: Pod) -> None:
    pod.keep_secret(f" {SECRET}\n")
    body = b"".join(b"%05d %s " % (at, SECRET.encode()) for at in range(5000))  # across the edges of pieces
    clean = body.replace(SECRET.encode(), b"X" * len(SECRET))
    (pod.logs / "process-log.txt").write_bytes(body)
    (pod.artifacts / "plain.txt").write_bytes(b"\xff\x00" + body)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo(f"name-{SECRET}")
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    (pod.artifacts / "all.tgz").write_bytes(packed.getvalue())
    (pod.artifacts / "old.log.1.gz").write_bytes(gzip.compress(body[:9999]) + gzip.compress(body[9999:]))
    (pod.artifacts / "cut.gz").write_bytes(gzip.compress(body * 3)[:-40])
    (pod.artifacts / "fake.gz").write_bytes(b"\x1f\x8b\x08" + body)
    for path in pod.artifacts.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o640)
    pod.mark()
    done = pod.run()
    assert done.code == 0
    assert pod.uploaded("build-log.txt") == clean
    assert pod.uploaded("artifacts/plain.txt") == b"\xff\x00" + clean
    assert gzip.decompress(pod.uploaded("artifacts/old.log.1.gz")) == clean
    with tarfile.open(fileobj=io.BytesIO(pod.uploaded("artifacts/all.tgz"))) as tar:
        assert tar.getnames() == ["name-" + "X" * len(SECRET)]
        assert tar.extractfile(tar.getnames()[0]).read() == clean  # type: ignore[union-attr]
    cut = gzip.decompress(pod.uploaded("artifacts/cut.gz"))
    assert (clean * 3).startswith(cut)
    assert len(cut) > len(clean)
    assert pod.uploaded("artifacts/fake.gz") == b"\x1f\x8b\x08" + clean
    assert {(path.stat().st_mtime, path.stat().st_mode & 0o777) for path in pod.artifacts.iterdir()} == {(1, 0o640)}
    assert SECRET.encode() not in done.errors


def test_what_holds_no_secret_stays_as_it_is(pod: Pod) -> None:
    pod.keep_secret()
    packed = gzip.compress(b"nothing" * 1000, compresslevel=1)
    (pod.artifacts / "a.gz").write_bytes(packed)
    before = (pod.artifacts / "a.gz").stat()
    pod.mark()
    pod.run()
    assert pod.uploaded("artifacts/a.gz") == packed
    assert (pod.artifacts / "a.gz").stat().st_ino == before.st_ino


def test_which_folders_are_censored(pod: Pod) -> None:
    pod.keep_secret()
    pod.options["censoring_options"] |= {"include_directories": ["**/in/*"], "exclude_directories": ["a/in/*"]}
    for folder in ("in", "a/in", "b/in", "out"):
        (pod.artifacts / folder).mkdir(parents=True)
        (pod.artifacts / folder / "file").write_text(SECRET)
    pod.mark()
    pod.run()
    shown = [name for name in pod.names() if pod.uploaded(name) == SECRET.encode()]
    assert shown == ["artifacts/a/in/file", "artifacts/out/file"]


def test_every_kind_of_secret(pod: Pod) -> None:
    pod.keep_secret("from-one", "..data")
    pod.keep_secret('{"auths": {"r": {"auth": "QVVUSA==", "password": "dockerpass"}}}', ".dockerconfigjson")
    pod.keep_secret("[a]\nkey = inivalue\n", "credentials")
    pod.keep_secret("not json but secret", ".dockercfg")
    pod.keep_secret("ab", "short")
    (pod.secrets / "deep").mkdir()
    pod.keep_secret("below-it", "deep/er")
    pod.options["censoring_options"] |= {"ini_filenames": ["credentials"], "minimum_secret_length": 3}
    words = ["from-one", "QVVUSA==", "dockerpass", "inivalue", "not json but secret", "ab", "below-it"]
    (pod.logs / "process-log.txt").write_text("|".join(words))
    pod.mark()
    done = pod.run()
    assert pod.uploaded("build-log.txt").decode().split("|") == [
        word if word in ("from-one", "ab") else "X" * len(word) for word in words
    ]
    assert b"not json but secret" not in done.errors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that takes no writes")
def test_what_cannot_be_censored_is_not_uploaded(pod: Pod) -> None:
    pod.keep_secret()
    disk = pod.artifacts / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", disk], check=False).returncode:
        pytest.skip("this root may not mount")
    try:
        (disk / "bad").write_text(SECRET)
        (disk / "good").write_text("fine")
        (disk / "metadata.json").write_text(json.dumps({"k": SECRET}))
        (disk / "log").write_text(SECRET)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        pod.options["entries"][0] |= {"metadata_file": str(disk / "metadata.json"), "process_log": str(disk / "log")}
        pod.mark()
        done = pod.run()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert pod.uploaded("artifacts/disk/good") == b"fine"
    assert all(SECRET.encode() not in pod.uploaded(name) for name in pod.names())
    assert "artifacts/disk/bad" not in pod.names()
    assert b"so it is not uploaded" in done.errors


def test_files_that_modes_keep_from_us(pod: Pod) -> None:
    def without_privileges() -> None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: modes hold for root too
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)

    pod.keep_secret()
    (pod.artifacts / "unreadable").write_text("not for everyone")
    (pod.artifacts / "unreadable").chmod(0)
    (pod.artifacts / "read-only").write_text(SECRET)
    (pod.artifacts / "read-only").chmod(0o444)
    (pod.artifacts / "closed").mkdir(mode=0)
    pod.mark()
    done = pod.run(preexec_fn=without_privileges)
    assert done.code == 0
    assert pod.uploaded("artifacts/read-only") == b"X" * len(SECRET)
    assert (pod.artifacts / "read-only").stat().st_mode & 0o777 == 0o444
    assert "artifacts/unreadable" not in pod.names()
    assert pod.finished()["result"] == "SUCCESS"


def test_storage_that_fails_is_told_and_the_code_is_zero(pod: Pod) -> None:
    (pod.folder / "file").touch()
    pod.options["gcs_options"]["bucket"] = f"file://{pod.folder}/file/below"
    pod.mark()
    done = pod.run()
    assert done.code == 0
    assert "Failed to report job status" in [line["msg"] for line in done.lines()]


def test_one_artifact_that_cannot_be_stored_keeps_nothing_else_back(pod: Pod) -> None:
    (pod.artifacts / "a").write_text("a")
    (pod.artifacts / "b").write_text("b")
    (pod.folder / RUN / "artifacts" / "a" / "in the way").mkdir(parents=True)
    pod.mark()
    done = pod.run()
    assert done.code == 0
    assert {"artifacts/b", "build-log.txt", "finished.json"} <= set(pod.names())
    assert "Failed to report job status" in [line["msg"] for line in done.lines()]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"entries": []}, "no wrapper.Option entries"),
        ({"entries": [{"args": ["x"], "marker_file": "m"}]}, "entry 0: no log file specified"),
        ({"entries": [{"args": ["x"], "process_log": "l"}]}, "entry 0: no marker file specified"),
        ({"censoring_concurrency": 3}, "censoring_concurrency cannot be used beside censoring_options"),
        ({"gcs_options": {"dry_run": False}}, "no bucket given"),
        ({"gcs_options": 3}, "SIDECAR_OPTIONS cannot be used"),
    ],
)
def test_options_that_cannot_be_worked_with(pod: Pod, more: dict[str, Any], told: str) -> None:
    pod.options |= more
    done = pod.run()
    assert (done.code, [line["level"] for line in done.lines()]) == (1, ["fatal"])
    assert told in done.lines()[0]["msg"]


def test_options_of_old(pod: Pod) -> None:
    pod.keep_secret()
    del pod.options["censoring_options"]
    pod.options |= {"secret_directories": [str(pod.secrets)], "wrapper_options": pod.options.pop("entries")[0]}
    (pod.logs / "process-log.txt").write_text(SECRET)
    pod.mark()
    assert pod.run().code == 0
    assert pod.uploaded("build-log.txt") == b"X" * len(SECRET)


def test_much_of_everything_costs_little_memory(pod: Pod) -> None:
    pod.keep_secret()
    with open(pod.logs / "process-log.txt", "wb") as file:
        file.truncate(120_000_000)
        file.seek(50_000_000)
        file.write(SECRET.encode())
    for number in range(500):
        (pod.artifacts / f"{number}").write_text(SECRET)
    pod.mark()
    script = (
        "import os, sys; from prow_async.podutils import sidecar; code = sidecar.main([], os.environ); "
        "print(open('/proc/self/status').read()); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=pod.environ(), cwd=parts.ROOT, stdout=subprocess.PIPE, check=True
    )
    most_kb = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith(b"VmHWM"))
    assert most_kb < 100_000
    assert len(pod.names()) == 503
    assert (pod.folder / RUN / "build-log.txt").stat().st_size == 120_000_000


def test_a_whole_pod(pod: Pod) -> None:
    """entrypoint as a copy, two tests in order, and the sidecar beside them."""
    tool = pod.folder / "tools" / "entrypoint"
    assert parts.run("entrypoint", {}, "--copy-mode-only", f"--copy-destination={tool}").code == 0
    pod.keep_secret()
    first, second = pod.entry("first"), pod.entry("second")
    first["args"] = ["bash", "-c", f"echo '{{\"k\": 1}}' > $ARTIFACTS/first-metadata.json; echo {SECRET}; exit 3"]
    second |= {"previous_marker": first["marker_file"]}
    pod.options["entries"] = [first, second]
    with contextlib.ExitStack() as running:
        sidecar = running.enter_context(parts.started("sidecar", pod.environ()))
        for entry in (second, first):
            wanted = entry | {"timeout": 0, "grace_period": 0, "artifact_dir": str(pod.artifacts), "always_zero": True}
            env = {"ENTRYPOINT_OPTIONS": json.dumps(wanted), "ARTIFACTS": str(pod.artifacts)}
            running.enter_context(subprocess.Popen([tool], env=os.environ | env, stdout=subprocess.DEVNULL))
        assert parts.ended(sidecar).code == 0
    assert pod.finished() == {"passed": False, "result": "FAILURE", "revision": "def", "metadata": {"k": 1}}
    assert pod.uploaded("first-build-log.txt").startswith(b"X" * len(SECRET) + b"\n")
    assert b"Skipping as previous step exited 3" in pod.uploaded("second-build-log.txt")


@pytest.mark.parametrize("name", ["entrypoint", "sidecar"])
def test_the_one_program_has_them_too(name: str) -> None:
    command = [sys.executable, "-m", "prow_async", name, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=parts.ROOT)
    assert (done.returncode, done.stdout.startswith(f"usage: {name} [flags]")) == (0, True)
    none = subprocess.run(command[:-1], env={}, capture_output=True, text=True, check=False, cwd=parts.ROOT)
    assert (none.returncode, json.loads(none.stderr)["component"]) == (1, name)


def test_it_starts_without_what_it_does_not_need() -> None:
    script = "import sys; from prow_async.podutils import sidecar; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=parts.ROOT)
    heavy = {"asyncio", "anyio", "aiohttp", "kubernetes_asyncio", "structlog", "yaml", "obstore"}
    assert not heavy & set(loaded.stdout.decode().split())
