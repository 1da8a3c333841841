"""What an upload to a cloud keeps in memory: a few parts, however long the logs are."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.contract import storage_servers
from tests.contract.storage_servers import Environ, Start

SCRIPT = """
import sys
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import GCSUploadOptions
from prow_async.podutils import upload

options = GCSUploadOptions(
    bucket="s3://bucket", path_strategy="explicit", s3_credentials_file=sys.argv[1], dry_run=False,
    compress_file_types=("gzipped",),
)
logs = [upload.Item(name, lambda: open("long.log", "rb")) for name in ("a", "b", "c", "d", "e.gzipped")]
upload.run(JobSpec("periodic", "j", "1"), options, logs)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
LOG_BYTES = 150_000_000


def sink(environ: Environ, start: Start) -> Iterable[bytes]:
    """Take everything, keep nothing: the least that an upload in parts asks of a server."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left:
        left -= len(environ["wsgi.input"].read(min(left, 1 << 20)))
    body = b""
    if environ["QUERY_STRING"].startswith("uploads"):
        body = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    elif environ["REQUEST_METHOD"] == "POST":
        body = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
    start("200 OK", [("Content-Length", str(len(body))), ("ETag", '"x"')])
    return [body]


def test_long_logs_cost_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "long.log").open("wb") as log:
        log.truncate(LOG_BYTES)
    with storage_servers.serving("s3", tmp_path, sink) as server:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(server.credentials)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        parts = [path for method, path in server.trouble.seen if method == "PUT" and "partNumber" in path]
    assert len(parts) >= 4 * LOG_BYTES // (5 << 20)
    assert int(done.stdout) < 100_000, f"{done.stdout} kB"
