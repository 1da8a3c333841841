"""Whole decorated pods with bad input and faults: the result is right, finished.json says it, nothing is left or hangs.

The single programs' own tests try each of these more closely; here all of them meet in one pod, as in production.
"""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests import githttp, gitrepo
from tests.contract import storage_servers
from tests.contract.storage_servers import Server
from tests.faults.decorated import RUN, Job, Json

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SECRET = b"correct-horse-battery-staple"
WRITTEN = "while [ ! -s /logs/{}.txt ]; do :; done"
"""Waits until what was said is in the log: a wrapper that is killed before has not read it."""


class Repository:
    """`o/r` on a server, and a pull request 5 in it."""

    def __init__(self, base: Path, server: githttp.GitServer) -> None:
        self.server = server
        self.origin = gitrepo.Origin(base)
        self.base = self.origin.commit({"code": "old\n"})
        self.pull = self.origin.commit({"code": "pulled\n"}, self.base)
        self.point("refs/heads/main", self.base)
        self.point("refs/pull/5/head", self.pull)

    def point(self, ref: str, sha: str) -> None:
        gitrepo.git(self.origin.folder, "update-ref", ref, sha)

    def refs(self, **changed: object) -> Json:
        pull = {"number": 5, "author": "a", "sha": self.pull}
        url = f"{self.server.url}/o/r.git"
        own = {"org": "o", "repo": "r", "base_ref": "main", "base_sha": self.base, "pulls": [pull], "clone_uri": url}
        return own | changed


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with githttp.serving(tmp_path / "origins") as server:
        yield Repository(tmp_path / "origins", server)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with storage_servers.serving("s3", tmp_path_factory.mktemp("s3")) as server:
        yield server


async def never_tested(tmp_path: Path, refs: Json, told: bytes) -> None:
    """Check that a clone that fails ends the pod before its test, and that the run's files say why."""
    done = await Job(tmp_path, "echo tested > $ARTIFACTS/tested", refs).run()
    done.is_over(False, "FAILURE")
    assert (done.code("clonerefs"), done.code("initupload")) == (0, 1), done.shown
    assert told in done.log()
    assert done.artifacts() == {}
    records = json.loads((done.run / "clone-records.json").read_text())
    assert records[-1]["failed"] is True
    assert (done.run / "started.json").exists()


async def test_a_merge_conflict(tmp_path: Path, repository: Repository) -> None:
    newer = repository.origin.commit({"code": "moved on\n"}, repository.base)
    repository.point("refs/heads/main", newer)
    await never_tested(tmp_path, repository.refs(base_sha=newer), b"CONFLICT (content)")


async def test_a_head_that_was_forced_away_is_tested_as_asked(tmp_path: Path, repository: Repository) -> None:
    """The commit is still on the server, though nothing points to it: that one is what is tested, not the new head."""
    repository.point("refs/pull/5/head", repository.origin.commit({"code": "forced\n"}, repository.base))
    done = await Job(tmp_path, "cat code", repository.refs()).run()
    done.is_over(True, "SUCCESS")
    assert done.log() == b"pulled\n"


async def test_what_cannot_be_fetched(tmp_path: Path, repository: Repository) -> None:
    """A pull request that is not there, a commit that is gone and a server that is not reached, each tried to the end.

    Together, as the tries of one alone take a minute.
    """
    job = Job(tmp_path, "echo tested > $ARTIFACTS/tested", repository.refs(pulls=[{"number": 6, "author": "a"}]))
    gone = repository.refs(repo="gone", pulls=[{"number": 5, "author": "a", "sha": "1" * 40}])
    away = repository.refs(repo="away", pulls=[], clone_uri="http://127.0.0.1:1/o/r.git")
    job.extra_refs = [gone, away]
    done = await job.run()
    assert done.code("initupload") == 1, done.shown
    finished = json.loads((job.bucket / RUN.replace("/5/", "/6/") / "finished.json").read_text())
    assert (finished["passed"], finished["result"], done.phase) == (False, "FAILURE", "Failed")
    told = (job.bucket / RUN.replace("/5/", "/6/") / "build-log.txt").read_text()
    for words in ("couldn't find remote ref pull/6/head", "1" * 40, "127.0.0.1:1"):
        assert words in told


async def test_a_test_that_stands_for_every_bad_habit_of_output(tmp_path: Path) -> None:
    """Bytes that are no text, lines without an end: they are uploaded as they came."""
    done = await Job(tmp_path, r"printf '\xff\xfe\x00\x80bad\n'; head -c 300000 /dev/zero; exit 3").run()
    done.is_over(False, "FAILURE")
    assert done.code() == 3
    begin = b"\xff\xfe\x00\x80bad\n" + bytes(300_000)
    assert done.log().startswith(begin)
    assert b"exit status 3" in done.log()[len(begin) :]


async def test_secrets_across_buffers(tmp_path: Path) -> None:
    """In the log, in an artifact and in its compressed form; also as base64, at every place of a small buffer."""
    told = "for i in $(seq 0 97); do head -c $i /dev/zero | tr '\\0' .; cat /etc/token/token; echo; done"
    script = (
        f"({told}) | tee $ARTIFACTS/shown | gzip > $ARTIFACTS/packed.gz; cat $ARTIFACTS/shown; base64 /etc/token/token"
    )
    job = Job(tmp_path, script)
    job.secret("token", token=SECRET)
    job.volumes = [{"name": "token", "secret": {"secretName": "token"}}]
    job.test["volumeMounts"] = [{"name": "token", "mountPath": "/etc/token", "readOnly": True}]
    job.decoration |= {"censor_secrets": True, "censoring_options": {"censoring_buffer_size": 64}}
    done = await job.run()
    done.is_over(True, "SUCCESS")
    for path in (path for path in done.run.rglob("*") if path.is_file()):
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert SECRET not in content, path
        assert base64.b64encode(SECRET) not in content, path
    assert done.log().count(b"X" * len(SECRET)) >= 98
    assert len(done.artifacts()["shown"]) == sum(range(98)) + 98 * (len(SECRET) + 1)


async def test_artifacts_of_every_kind(tmp_path: Path) -> None:
    """Links out, sockets, pipes, devices, sparse giants, names that are no text, a file that grows all the while."""
    script = r"""
        cd $ARTIFACTS; echo fine > fine; ln -s /etc/passwd link; ln -s / root; ln -s loop loop; mkfifo pipe
        ln -s /dev/zero endless; ln -s fine inside
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
        truncate -s 30M huge; echo odd > $'n\xff'; mkdir -p deep/er; echo low > deep/er/file; chmod 0 deep/er/file
        setsid bash -c 'while echo more; do :; done > growing' > /dev/null 2>&1 &
        while [ ! -s growing ]; do :; done
    """
    done = await Job(tmp_path, script).run()
    done.is_over(True, "SUCCESS")
    found = done.artifacts()
    assert found.pop("growing").startswith(b"more\n")
    assert len(found.pop("huge")) == 30 << 20
    assert found == {
        "fine": b"fine\n",
        "inside": b"fine\n",
        "n\N{REPLACEMENT CHARACTER}": b"odd\n",
        "deep/er/file": b"low\n",
    }


async def test_no_end_of_output_on_a_small_disk(tmp_path: Path) -> None:
    """The pod's volumes are full: the result of the test counts, and is told, whatever of its log is lost."""
    with storage_servers.small_disk(tmp_path / "pods"):
        done = await Job(tmp_path, "head -c 8000000 /dev/zero; echo x > $ARTIFACTS/x; exit 7").run()
    assert done.code() == 7, done.shown
    done.is_over(False, "FAILURE")
    assert 0 < len(done.log()) <= 1 << 20


async def test_a_bucket_without_room(tmp_path: Path) -> None:
    """Nothing can be told in the bucket; the pod still says how the test ended, and what is there is whole."""
    with storage_servers.small_disk(tmp_path / "bucket"):
        done = await Job(tmp_path, "head -c 3000000 /dev/urandom > $ARTIFACTS/big; exit 0").run()
        assert done.phase == "Succeeded", done.shown
        assert json.loads((done.run / "finished.json").read_text())["passed"] is True
        assert done.artifacts() == {}


@pytest.mark.parametrize(
    ("script", "code", "result", "decoration"),
    [
        ("trap '' INT TERM; while :; do sleep 1000; done", 127, "FAILURE", {"timeout": "2s"}),
        ("yes; :", 127, "FAILURE", {"timeout": "2s"}),
        ("kill -9 $BASHPID", 255, "FAILURE", {}),
        ("setsid bash -c 'trap \"\" INT TERM HUP; while :; do sleep 1000; done' & exit 5", 5, "FAILURE", {}),
        ("setsid bash -c 'trap \"\" INT TERM HUP; while :; do sleep 1000; done' & exit 0", 0, "SUCCESS", {}),
        ("kill -TERM $PPID; sleep 1000", 130, "ABORTED", {}),
        ("no-such-program", 127, "FAILURE", {}),
    ],
)
async def test_tests_that_do_not_behave(tmp_path: Path, script: str, code: int, result: str, decoration: Json) -> None:
    """Ignores that it is told to end, fills its output, is killed, walks away, ends its own wrapper."""
    job = Job(tmp_path, script)
    job.decoration |= decoration
    done = await job.run()
    assert done.code() == code, done.shown
    done.is_over(result == "SUCCESS", result)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("before", ["", "ln -s nowhere /logs/marker-file.txt; ", "rm -f /tools/entrypoint; "])
async def test_a_wrapper_that_is_killed_with_its_test(tmp_path: Path, isolate: bool, before: str) -> None:
    """Nobody is left to write a marker but the kubelet: else the sidecar would wait for ever."""
    done = await Job(
        tmp_path,
        before + f"echo last words; {WRITTEN.format('process-log')}; kill -9 $PPID; trap '' INT TERM; sleep 1000",
    ).run(isolate=isolate)
    done.is_over(False, "FAILURE")
    assert (done.code(), done.code("sidecar")) == (137, 0), done.shown
    assert done.log().startswith(b"last words\n")


async def test_a_test_that_kills_all_it_can_see(tmp_path: Path) -> None:
    done = await Job(tmp_path, "echo x > $ARTIFACTS/x; kill -9 -1").run()
    done.is_over(False, "FAILURE")
    assert done.artifacts() == {"x": b"x\n"}


@pytest.mark.parametrize("ending", ["exit 0", f"{WRITTEN.format('left-log')}; kill -9 -1"])
async def test_several_tests_of_which_one_may_go_wrong(tmp_path: Path, ending: str) -> None:
    """Each has its log; the worst of them decides."""
    job = Job(tmp_path, f"echo from left; {ending}")
    job.beside = [{**job.test, "name": "right", "command": ["sh", "-c", "echo from right"]}]
    job.test["name"] = "left"
    done = await job.run()
    done.is_over(*((True, "SUCCESS") if ending == "exit 0" else (False, "FAILURE")))
    assert (done.run / "left-build-log.txt").read_bytes() == b"from left\n"
    assert (done.run / "right-build-log.txt").read_bytes() == b"from right\n"
    assert (done.code("right"), done.code("sidecar")) == (0, 0)


@pytest.mark.parametrize("failing", range(11))
async def test_storage_that_fails_at_one_request(tmp_path: Path, s3: Server, failing: int) -> None:
    """Whichever it is, it is asked again, and all is there in the end."""
    bucket = s3.fresh()
    job = Job(tmp_path, "echo made > $ARTIFACTS/made; echo tested; exit 3")
    job.secret("s3", **{"service-account.json": s3.credentials.read_bytes()})
    job.decoration |= {
        "gcs_configuration": {"bucket": f"s3://{bucket}", "path_strategy": "explicit"},
        "s3_credentials_secret": "s3",
    }
    s3.trouble.next[:] = [*[None] * failing, ("reset", 500, 503)[failing % 3]]
    done = await job.run()
    assert (done.phase, done.code()) == ("Failed", 3), done.shown
    assert s3.trouble.next == [], "fewer requests than thought"
    found = await anyio.to_thread.run_sync(s3.open, bucket)
    assert json.loads(found.get(f"{RUN}/finished.json"))["result"] == "FAILURE"
    for name, content in (("artifacts/made", b"made\n"), ("started.json", b"{"), ("build-log.txt", b"tested\n")):
        assert found.get(f"{RUN}/{name}").startswith(content)
