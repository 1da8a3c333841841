"""initupload and gcsupload as the programs that they are: environment and flags in, files and an exit code out."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prow_async.api import podoptions
from prow_async.api.clonerecords import NO_REFS, Command, Record
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import GCSUploadOptions, InitUploadOptions
from prow_async.api.prowjob import Pull, Refs
from prow_async.core import clone, podenv
from tests.contract import storage_servers

REFS = Refs("o", "r", base_ref="main", base_sha="b4se", pulls=(Pull(number=5, author="a", sha="pu11"),))
EXTRA = Refs("o", "extra", base_ref="dev", auxiliary=True)
SPEC = JobSpec("presubmit", "unit", "17", "pj", REFS, (EXTRA,))
RUN = "pr-logs/pull/o_r/5/unit/17"


def run(name: str, environ: dict[str, str], *argv: str) -> tuple[int, list[dict[str, Any]], str]:
    """Return exit code, log lines and standard output."""
    done = subprocess.run(
        [sys.executable, "-m", f"prow_async.podutils.{name}", *argv],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()], done.stdout


def environ(options: InitUploadOptions, spec: JobSpec = SPEC) -> dict[str, str]:
    return {podoptions.INITUPLOAD_ENV: podenv.go_json(options), "JOB_SPEC": podenv.go_json(spec)}


def options(folder: Path, **more: Any) -> InitUploadOptions:
    known = InitUploadOptions(bucket=f"file://{folder}/bucket", path_strategy="explicit", dry_run=False)
    return msgspec.structs.replace(known, **more)


def files(folder: Path) -> dict[str, bytes]:
    root = folder / "bucket" / RUN
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def records(folder: Path, *found: Record) -> str:
    (folder / "clone.json").write_bytes(clone.encode(found))
    return str(folder / "clone.json")


def test_a_run_without_code(tmp_path: Path) -> None:
    code, lines, _ = run("initupload", environ(options(tmp_path)))
    assert (code, [line["level"] for line in lines]) == (0, ["info"])
    found = files(tmp_path)
    assert list(found) == ["started.json"]
    started = json.loads(found["started.json"])
    assert list(started) == ["timestamp", "pull", "repos", "repo-commit", "repo-version"]
    assert started.pop("timestamp") > 1_700_000_000
    assert started == {
        "pull": "5",
        "repos": {"o/extra": "dev", "o/r": "main:b4se,5:pu11"},
        "repo-commit": "pu11",
        "repo-version": "pu11",
    }
    assert (tmp_path / "bucket/pr-logs/directory/unit/latest-build.txt").read_text() == "17"
    assert (tmp_path / "bucket/pr-logs/directory/unit/17.txt").read_text() == f"file://{tmp_path}/bucket/{RUN}"


def test_cloned_code_is_told(tmp_path: Path) -> None:
    log = records(tmp_path, Record(NO_REFS), Record(EXTRA, final_sha="e7ra"), Record(REFS, final_sha="m3rged"))
    code, _, _ = run("initupload", environ(options(tmp_path, log=log)))
    assert code == 0
    found = files(tmp_path)
    assert sorted(found) == ["clone-log.txt", "clone-records.json", "started.json"]
    assert json.loads(found["started.json"])["repo-commit"] == "m3rged"
    assert found["clone-records.json"] == Path(log).read_bytes()


def test_a_failed_clone_ends_the_run(tmp_path: Path) -> None:
    bad = Record(REFS, (Command("git fetch", "fatal: <no> & never\n", "exit status 128", 1000),), failed=True)
    code, lines, _ = run("initupload", environ(options(tmp_path, log=records(tmp_path, Record(NO_REFS), bad))))
    assert (code, lines[-1]["level"], lines[-1]["component"]) == (1, "fatal", "initupload")
    found = files(tmp_path)
    assert sorted(found) == ["build-log.txt", "clone-log.txt", "clone-records.json", "finished.json", "started.json"]
    finished = json.loads(found["finished.json"])
    assert list(finished) == ["timestamp", "passed", "result"]
    assert (finished["passed"], finished["result"]) == (False, "FAILURE")
    assert found["build-log.txt"] == found["clone-log.txt"]
    for told in (b"o/r", b"$ git fetch", b"fatal: <no> & never", b"exit status 128"):
        assert told in found["build-log.txt"]


@pytest.mark.parametrize("content", [None, "", "{", "[{}]", '[{"refs": 7}]', "\udcff"])
def test_records_that_cannot_be_read_count_as_failed(tmp_path: Path, content: str | None) -> None:
    """Somebody must see why no test ran."""
    if content is not None:
        (tmp_path / "clone.json").write_bytes(content.encode(errors="surrogateescape"))
    code, _, _ = run("initupload", environ(options(tmp_path, log=str(tmp_path / "clone.json"))))
    assert code == 1
    found = files(tmp_path)
    assert {"started.json", "finished.json", "build-log.txt"} <= set(found)
    assert b"clone.json" in found["build-log.txt"]


def test_an_upload_that_fails_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("a file in the way")
    code, lines, _ = run("initupload", environ(options(tmp_path)))
    assert code == 1
    assert lines[-1]["msg"] == "failed to upload to blob storage"
    assert "started.json" in lines[-1]["error"]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"JOB_SPEC": "{"}, "$JOB_SPEC does not read"),
        ({"JOB_SPEC": '{"type": 7}'}, "$JOB_SPEC does not read"),
        ({"INITUPLOAD_OPTIONS": "["}, "INITUPLOAD_OPTIONS"),
        ({"INITUPLOAD_OPTIONS": '{"dry_run": false}'}, "no bucket"),
        ({"INITUPLOAD_OPTIONS": '{"bucket": "b", "path_strategy": "odd"}'}, "path_strategy"),
        ({"INITUPLOAD_OPTIONS": '{"bucket": "b", "path_strategy": "single"}'}, "default_org"),
        (
            {"INITUPLOAD_OPTIONS": '{"bucket": "b", "path_strategy": "explicit", "mediaTypes": {"x": "y"}}'},
            "media type",
        ),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, broken: dict[str, str], told: str) -> None:
    code, lines, _ = run("initupload", environ(options(tmp_path)) | broken)
    assert code == 1
    assert [line["level"] for line in lines] == ["fatal"]
    assert told in lines[0]["msg"]
    assert not (tmp_path / "bucket").exists()


def test_no_job_spec(tmp_path: Path) -> None:
    variables = environ(options(tmp_path))
    del variables["JOB_SPEC"]
    code, lines, _ = run("initupload", variables)
    assert (code, lines[0]["msg"]) == (1, "$JOB_SPEC is not set")


def test_gcsupload_by_flags(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("all is well")
    spec = {"JOB_SPEC": podenv.go_json(SPEC)}
    path = f"s3://{storage_servers.BUCKET}/pre"
    flags = ["--gcs-path", path, "--sub-dir=sub", "--media-type", "txt:text/markdown,log:text/plain"]
    code, lines, _ = run("gcsupload", spec, *flags, str(tmp_path / "report.txt"))
    assert code == 0
    assert lines[0]["dest"] == f"pre/{RUN}/sub/report.txt"
    with storage_servers.serving("s3", tmp_path) as server:
        bucket = server.fresh()
        flags[1] = f"s3://{bucket}/pre"
        flags += ["--dry-run=false", "--s3-credentials-file", str(server.credentials)]
        code, lines, _ = run("gcsupload", spec, *flags, str(tmp_path / "report.txt"))
        assert (code, lines[-1]["level"]) == (0, "info")
        blob = server.open(bucket).head(f"pre/{RUN}/sub/report.txt")
        assert (blob.size_bytes, blob.attributes.content_type) == (11, "text/markdown; charset=utf-8")


def test_gcsupload_into_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    flags = [f"--gcs-path=file://{tmp_path}/deep/bucket/", "--dry-run=false", str(tmp_path / "x")]
    code, lines, _ = run("gcsupload", {"JOB_SPEC": podenv.go_json(SPEC)}, *flags)
    assert (code, lines[-1]["level"]) == (0, "info")
    assert (tmp_path / "deep/bucket" / RUN / "x").read_text() == "x"


def test_gcsupload_by_its_variable(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    wanted = GCSUploadOptions(items=(str(tmp_path / "x"),), local_output_dir=str(tmp_path / "out"), dry_run=False)
    variables = {podoptions.GCSUPLOAD_ENV: podenv.go_json(wanted), "JOB_SPEC": podenv.go_json(SPEC)}
    code, _, _ = run("gcsupload", variables)
    assert code == 0
    assert (tmp_path / "out/x").read_text() == "x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_upload_that_hangs_ends_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with storage_servers.serving("s3", tmp_path) as server:
        bucket = server.fresh()
        server.trouble.always = "hang"
        file = str(server.credentials)
        variables = environ(options(tmp_path, bucket=f"s3://{bucket}", s3_credentials_file=file))
        process = subprocess.Popen(
            [sys.executable, "-m", "prow_async.podutils.initupload"], env=variables, stderr=subprocess.PIPE
        )
        assert server.trouble.hanging.wait(60)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -number)
    assert b"Traceback" not in errors


def ambient(tmp_path: Path, environ: dict[str, str], bucket: str, read_only: bool = False) -> str:
    """Put and get an object in a process with this environment; return what was got, or the error's class."""
    script = """
import sys
from prow_async.adapters import storage
from prow_async.api.errors import ProwError
try:
    bucket = storage.open_bucket(sys.argv[1])
    if sys.argv[2] == "False":
        bucket.put("x", b"ambient")
    print(bucket.get("x").decode())
except ProwError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, bucket, str(read_only)],
        env={"HOME": str(tmp_path)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_credentials_of_the_surroundings(tmp_path: Path) -> None:
    with storage_servers.serving("s3", tmp_path) as s3, storage_servers.serving("gs", tmp_path) as google:
        keys = {"AWS_ACCESS_KEY_ID": storage_servers.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": storage_servers.SECRET_KEY}
        for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"):
            assert ambient(tmp_path, keys | {variable: s3.address}, f"s3://{s3.fresh()}") == "ambient"
        file = {"GOOGLE_APPLICATION_CREDENTIALS": str(google.credentials)}
        assert ambient(tmp_path, file, f"gs://{google.fresh()}") == "ambient"
        public = google.fresh()
        google.open(public).put("x", b"public")
        nobody = {"GOOGLE_BASE_URL": google.address, "GCE_METADATA_HOST": "127.0.0.1:1"}
        assert ambient(tmp_path, nobody, public, read_only=True) == "public"
        assert "no credentials were given, and none were found" in ambient(tmp_path, nobody, public)


def test_credentials_of_the_surroundings_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "federated.json").write_text('{"type": "external_account"}')
    said = ambient(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "federated.json")}, "gs://bucket")
    assert said.startswith("Refused")
    assert "external_account" in said
    assert ambient(tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": "/nope"}, "gs://bucket").startswith(
        "Refused cannot read"
    )


def test_mistaken_flags_and_help() -> None:
    code, lines, _ = run("gcsupload", {}, "--nope")
    assert (code, lines[0]["level"]) == (1, "fatal")
    code, lines, _ = run("gcsupload", {}, "--media-type=txt")
    assert (code, lines[0]["level"]) == (1, "fatal")
    code, lines, out = run("initupload", {}, "--help")
    assert (code, lines) == (0, [])
    assert "--clone-log" in out


def test_starting_is_cheap() -> None:
    """Neither an event loop nor a library for clouds is loaded before it is known to be needed."""
    heavy = ("asyncio", "logging", "anyio", "aiohttp", "kubernetes_asyncio", "structlog", "obstore", "yaml", "re2")
    script = (
        "import sys, prow_async.podutils.initupload, prow_async.podutils.gcsupload;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
