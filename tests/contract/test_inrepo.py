"""In-repo configuration from real repositories: what counts, what is remembered, what is refused."""

import itertools
import os
import shutil
import socket
import subprocess
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import anyio
import msgspec
import pytest

from prow_async.adapters.git import inrepo as adapter
from prow_async.adapters.git.command import Remote
from prow_async.adapters.git.inrepo import InRepoConfig
from prow_async.adapters.git.mirror import Mirror, check
from prow_async.api.config import Config
from prow_async.api.errors import ConfigErrors, Refused, Retry
from prow_async.api.inrepo import RepoJobs, Texts, Wanted
from prow_async.core import inrepo, inrepo_patterns, inrepo_pods
from tests.gitrepo import Origin, git

pytestmark = pytest.mark.anyio


def job(name: str) -> str:
    return f"presubmits: [{{name: {name}, spec: {{containers: [{{image: i}}]}}}}]\n"


class Counts:
    """Counts what is counted."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.gauges: dict[str, tuple[float, dict[str, str]]] = {}
        """The last value of each, with its labels."""

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        rule = labels.pop("rule", "")
        assert labels == {"org": "o", "repo": "r"}
        self.found[" ".join((name.removeprefix("inRepoConfigCache_"), rule)).strip()] += int(by)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.gauges[name] = value, labels

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None: ...

    def observe(self, name: str, value: float, /, **labels: str) -> None: ...


class Place:
    """An origin, and what reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = Origin(folder / "server")
        self.config = Config()
        self.config.in_repo_config.allowed_clusters["*"] = ("default",)
        self.start()

    def start(self, base: str = "", *forbidden: str) -> None:
        """As a new process does."""
        self.counts = Counts()
        remote = Remote(base or f"file://{self.folder / 'server'}")
        policy = inrepo_pods.policy(forbidden)
        self.reader = InRepoConfig(self.folder / "mirrors", remote, self.counts, policy=policy)

    async def jobs(self, base: str, *heads: str) -> RepoJobs:
        return await self.reader.jobs(self.config, Wanted(org="o", repo="r", base_sha=base, heads=heads))

    async def names(self, base: str, *heads: str) -> list[str]:
        return [found.name for found in (await self.jobs(base, *heads)).presubmits]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_pull_request_is_read_as_merged(place: Place) -> None:
    """Base and head each brought something since they parted; a batch has all heads."""
    root = place.origin.commit({".prow/a.yaml": job("a"), "code": "1"})
    base = place.origin.commit({".prow/b.yaml": job("b")}, root)
    head = place.origin.commit({".prow/c.yaml": job("c"), ".prow/a.yaml": None}, root)
    other = place.origin.commit({".prow/sub/d.yml": job("d")}, root)
    assert await place.names(root) == ["a"]
    assert await place.names(base, head) == ["b", "c"]
    assert await place.names(base, head, other) == ["b", "c", "d"]


async def test_a_file_whose_name_is_no_text(place: Place) -> None:
    """What is told of it can be written anywhere, whoever named it; it counts as any other."""
    name = os.fsdecode(b".prow/\xff.yaml")
    root = place.origin.commit({"code": "1"})
    assert await place.names(root, place.origin.commit({name: job("a")}, root)) == ["a"]
    with pytest.raises(ConfigErrors) as told:
        await place.names(root, place.origin.commit({name: "presubmits: [{"}, root))
    assert str(told.value).startswith(".prow/\\xff.yaml:1: ")


async def test_the_folder_hides_the_file_and_ignore_files_count(place: Place) -> None:
    commit = place.origin.commit
    alone = commit({".prow.yaml": job("file")})
    both = commit({".prow.yaml": job("file"), ".prow/read.me": "no YAML"})
    other = commit({".prow.yml": job("x"), "prow.yaml": job("y")})
    ignored = commit(
        {
            ".prowignore": "!\nskipped*\na.yaml\\\n",
            ".prow/skipped.yaml": "not: [even",
            ".prow/a.yaml": job("a"),
            ".prow/in/.prowignore": "*\n!kept.yaml\n",
            ".prow/in/kept.yaml": job("kept"),
            ".prow/in/gone.yaml": job("gone"),
            ".prow/in/skipped1.yaml": job("gone-too"),
        }
    )
    assert await place.names(alone) == ["file"]
    assert await place.names(both) == []
    assert await place.names(other) == []
    assert await place.names(ignored) == ["a", "kept"]


async def test_links_are_not_followed(place: Place) -> None:
    sha = place.origin.commit({"there": job("a")}, link={".prow.yaml": "there"})
    inside = place.origin.commit({".prow/b.yaml": job("b")}, link={".prow/a.yaml": "/etc/passwd"})
    assert await place.names(sha) == []
    assert await place.names(inside) == ["b"]


async def test_an_unrelated_push_reads_no_file(place: Place) -> None:
    root = place.origin.commit({".prow/a.yaml": job("a"), "code": "1"})
    await place.jobs(root)
    assert place.counts.found == Counter(lookups=1, misses=1)
    pushed = place.origin.commit({"code": "2"}, root)
    assert await place.names(pushed) == ["a"]
    assert await place.names(pushed) == ["a"]
    assert place.counts.found == Counter(lookups=3, misses=1, hits=2)
    changed = place.origin.commit({".prow/a.yaml": job("b")}, pushed)
    assert await place.names(changed) == ["b"]
    assert place.counts.found == Counter(lookups=4, misses=2, hits=2)
    assert place.counts.gauges["inRepoConfigCache_cache_usage_size"] == (2, {"org": "o", "repo": "r"})


async def test_a_new_configuration_completes_anew_without_git(place: Place) -> None:
    root = place.origin.commit({".prow.yaml": job("a")})
    await place.jobs(root)
    shutil.rmtree(place.folder / "mirrors")
    place.origin.folder.rename(place.folder / "away")
    place.config = Config(pod_namespace="elsewhere", in_repo_config=place.config.in_repo_config)
    assert (await place.jobs(root)).presubmits[0].namespace == "elsewhere"


async def test_mirrors_outlive_the_process_and_the_server(place: Place) -> None:
    root = place.origin.commit({".prow/a.yaml": job("a"), ".prow/b.yaml": job("b")})
    head = place.origin.commit({".prow/c.yaml": job("c")}, root)
    await place.jobs(root, head)
    place.origin.folder.rename(place.folder / "away")
    place.start()
    assert await place.names(root, head) == ["a", "b", "c"]


async def test_only_blobs_that_are_read_are_fetched(place: Place) -> None:
    root = place.origin.commit({".prow/a.yaml": job("a"), "large": "x" * 100_000, "other": "y"})
    await place.jobs(root)
    [mirror] = (place.folder / "mirrors" / "o").glob("*.git")
    packs = sum(pack.stat().st_size for pack in mirror.rglob("*.pack"))
    assert packs < 5_000


async def test_a_damaged_mirror_is_made_anew(place: Place) -> None:
    root = place.origin.commit({".prow.yaml": job("a")})
    await place.jobs(root)
    [mirror] = (place.folder / "mirrors" / "o").glob("*.git")
    for pack in mirror.rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"no pack")
    (mirror / "config").write_text("[broken")
    place.start()
    assert await place.names(root) == ["a"]


@pytest.mark.parametrize(("files", "left"), [("*.idx", 0), ("*.pack", 0), ("*.pack", 40), ("config", 0)])
async def test_a_mirror_cut_short_is_made_anew(place: Place, files: str, left: int) -> None:
    """As a machine leaves it that lost its power, whatever is asked next."""
    root = place.origin.commit({".prow.yaml": job("a")})
    await place.jobs(root)
    next_ = place.origin.commit({".prow.yaml": job("b")}, root)
    mirror = place.folder / "mirrors/o/r.git"
    whole = place.folder / "whole"
    shutil.copytree(mirror, whole)
    for cut, (sha, name) in itertools.product(sorted(whole.rglob(files)), ((root, "a"), (next_, "b"))):
        shutil.rmtree(mirror)
        shutil.copytree(whole, mirror)
        found = mirror / cut.relative_to(whole)
        found.chmod(0o600)
        found.write_bytes(found.read_bytes()[:left])
        place.start()
        assert await place.names(sha) == [name]


async def test_a_disk_without_a_place_is_tried_again(place: Place) -> None:
    root = place.origin.commit({".prow.yaml": job("a")})
    (place.folder / "mirrors").touch()
    with pytest.raises(Retry, match="o/r: its mirror cannot be kept at .*/mirrors/o/r.git"):
        await place.jobs(root)
    (place.folder / "mirrors").unlink()
    (place.folder / "mirrors/o/r.lock").mkdir(parents=True)
    with pytest.raises(Retry, match="Is a directory"):
        await place.jobs(root)
    (place.folder / "mirrors/o/r.lock").rmdir()
    assert await place.names(root) == ["a"]


async def test_what_cannot_be_had_is_refused_or_tried_again(place: Place) -> None:
    root = place.origin.commit({"code": "1\n", ".prow.yaml": job("a")})
    one, two = (place.origin.commit({"code": text}, root) for text in ("2\n", "3\n"))
    stranger = place.origin.commit({"another": "history"})
    for heads, told in (((two,), "they conflict"), (("0" * 40,), "does not give"), ((stranger,), "cannot be merged")):
        with pytest.raises(Refused, match=told):
            await place.jobs(one, *heads)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place.start(f"http://127.0.0.1:{closed.getsockname()[1]}")
        shutil.rmtree(place.folder / "mirrors")
        with pytest.raises(Retry, match="does not give"):
            await place.jobs(root)


HOSTILE = [
    Wanted(org="..", repo="r", base_sha="a" * 40),
    Wanted(org="o", repo="../r", base_sha="a" * 40),
    Wanted(org="-o", repo="r", base_sha="a" * 40),
    Wanted(org="o", repo="r\n", base_sha="a" * 40),
    Wanted(org="o", repo=".", base_sha="a" * 40),
    Wanted(org="o", repo="..", base_sha="a" * 40),
    Wanted(org="o", repo="..\n", base_sha="a" * 40),
    Wanted(org="o", repo=".git", base_sha="a" * 40),
    Wanted(org="o", repo="", base_sha="a" * 40),
    Wanted(org="o", repo="r", base_sha="--upload-pack=touch x"),
    Wanted(org="o", repo="r", base_sha="main"),
    Wanted(org="o", repo="r", base_sha="a" * 40, heads=("+refs/heads/*:refs/heads/*",)),
    Wanted(org="o", repo="r", base_sha="a" * 40, heads=("A" * 40,)),
]


@pytest.mark.parametrize("wanted", HOSTILE, ids=repr)
async def test_hostile_names_never_reach_git(place: Place, wanted: Wanted) -> None:
    with pytest.raises(Refused, match=r"is no (repository|commit)"):
        await place.reader.jobs(place.config, wanted)
    assert not (place.folder / "mirrors").exists()


@pytest.mark.parametrize("name", [".github", "-", "..."])
async def test_odd_names_that_repositories_have(tmp_path: Path, name: str) -> None:
    sha = Origin(tmp_path / "server", f"o/{name}").commit({".prow.yaml": job("a")})
    mirror = Mirror(tmp_path / "mirrors/o" / f"{name}.git", Remote(f"file://{tmp_path / 'server'}"), "o", name)
    wanted = Wanted(org="o", repo=name, base_sha=sha)
    check(wanted)
    with mirror.locked():
        assert [entry.path for entry in mirror.below(mirror.merged(wanted))] == [".prow.yaml"]


async def test_a_remote_helper_is_never_run(place: Place) -> None:
    """A base of `ext::` would run a command."""
    mark = place.folder / "mark"
    place.start(f"ext::sh -c 'touch {mark}' ")
    with pytest.raises(Refused):
        await place.jobs("a" * 40)
    assert not mark.exists()


async def test_problems_and_sizes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = place.origin.commit({".prow/a.yaml": job("a"), ".prow/b.yaml": "\npresubmits: [{name: '?'}]"})
    with pytest.raises(ConfigErrors) as caught:
        await place.jobs(bad)
    assert {(problem.file, problem.line) for problem in caught.value.problems} == {(".prow/b.yaml", 2)}
    with monkeypatch.context() as without:
        without.setattr(inrepo, "complete", None)
        with pytest.raises(ConfigErrors) as again:
            await place.jobs(bad)
    assert again.value.problems == caught.value.problems, "bad files are looked through once"
    place.config = msgspec.structs.replace(place.config, prowjob_namespace="other")
    with pytest.raises(ConfigErrors):
        await place.jobs(bad)
    fat = place.origin.commit({".prow/a.yaml": "#" * 3000, ".prow/b.yaml": "#" * 3000})
    many = place.origin.commit({f".prow/{number}.yaml": "" for number in range(20)})
    monkeypatch.setattr(inrepo, "MAX_BYTES", 5000)
    monkeypatch.setattr(inrepo, "MAX_FILES", 10)
    for sha, told in ((fat, "larger than 5000 bytes"), (many, "holds 20 files; 10 are allowed")):
        with pytest.raises(Refused, match=told):
            await place.jobs(sha)
    assert place.counts.found["prow_async_inrepo_refused_total"] == 5


HOST = "presubmits: [{name: h, spec: {hostNetwork: true, containers: [{image: i}]}}]\n"


async def test_what_is_forbidden_is_refused_from_head_and_base_and_counted(place: Place) -> None:
    """Each state that asks counts, also one that is known to; what others ask for is theirs."""
    place.start("", "secrets,host", "o/other=none")
    root = place.origin.commit({".prow/a.yaml": job("a"), "code": "1"})
    head = place.origin.commit({".prow/b.yaml": HOST}, root)
    assert await place.names(root) == ["a"]
    later = place.origin.commit({"code": "2"}, root)
    merged = place.origin.commit({"code": "3"}, head)
    clean = place.origin.commit({"docs": "x"}, root)
    for base, *heads in ((later, head), (later, head), (merged, clean)):
        with pytest.raises(ConfigErrors, match=r'\.prow/b\.yaml:1: job "h": spec\.hostNetwork: not allowed'):
            await place.jobs(base, *heads)
    assert place.counts.found["prow_async_inrepo_forbidden_total host"] == 3
    assert place.counts.found["prow_async_inrepo_refused_total"] == 3
    place.start()
    assert await place.names(later, head) == ["a", "h"]


async def test_patterns_are_tried_in_a_thread_and_counted_where_they_take_too_long(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the job's own trigger says of a comment; with no time at all it is refused."""
    jobs = (await place.jobs(place.origin.commit({".prow.yaml": job("a")}))).presubmits
    loop = threading.get_ident()
    ask, threads = inrepo_patterns.ask, set[int]()
    monkeypatch.setattr(inrepo_patterns, "ask", lambda *given: (threads.add(threading.get_ident()), ask(*given))[1])
    answers = await place.reader.answers("o", "r", jobs, Texts(body="/test a"))
    assert (answers.body, loop in threads) == ({jobs[0].trigger: True}, False)
    monkeypatch.setattr(adapter, "ASK_S", -1.0)
    with pytest.raises(Refused, match='given up at job "a"'):
        await place.reader.answers("o", "r", jobs, Texts(body="/test a"))
    assert place.counts.found["prow_async_inrepo_refused_total"] == 1


async def test_many_at_once_ask_git_once(place: Place) -> None:
    root = place.origin.commit({".prow.yaml": job("a")})
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(place.jobs, root)
    assert place.counts.found == Counter(lookups=30, hits=29, misses=1)


@pytest.mark.parametrize("restarts", [False, True])
async def test_old_commits_are_forgotten(place: Place, monkeypatch: pytest.MonkeyPatch, restarts: bool) -> None:
    """The mirror stays bounded, in processes that end soon too, and what was forgotten is fetched again."""
    monkeypatch.setattr(adapter.mirror, "KEPT_COMMITS", 2)
    monkeypatch.setattr(adapter.mirror, "_GC_EVERY", 50 if restarts else 2)
    shas = [place.origin.commit({".prow.yaml": job(f"j{number}")}) for number in range(5)]
    for sha in shas:
        if restarts:
            place.start()
        await place.jobs(sha)
    [mirror] = (place.folder / "mirrors" / "o").glob("*.git")
    assert len(list((mirror / "refs" / "prow" / "seen").glob("*"))) <= 2
    place.start()
    assert await place.names(shas[0]) == ["j0"]


async def test_an_origin_that_moved(place: Place) -> None:
    """A mirror made of one address goes on with another: files that were not fetched before come from there."""
    root = place.origin.commit({".prow.yaml": job("a")})
    assert await place.names(root) == ["a"]
    (place.folder / "server").rename(place.folder / "moved")
    place.start(f"file://{place.folder / 'moved'}")
    place.origin.folder = place.folder / "moved" / "o" / "r.git"
    after = place.origin.commit({".prow.yaml": job("b")}, root)
    assert await place.names(after) == ["b"]


def nested(origin: Origin, *, deep: int) -> str:
    """Commit a `.prow` of a few objects that lists as 10 ** deep files: all names in a folder are of one thing."""

    def tree(kind: str, sha: str, *names: str) -> str:
        return git(origin.folder, "mktree", text="".join(f"{kind} {sha}\t{name}\n" for name in names))

    found = tree("100644 blob", git(origin.folder, "hash-object", "-w", "--stdin", text="#"), *map(str, range(10)))
    for _ in range(deep - 1):
        found = tree("040000 tree", found, *map(str, range(10)))
    sha = git(origin.folder, "commit-tree", "-m", "deep", tree("040000 tree", found, ".prow"))
    git(origin.folder, "update-ref", "refs/heads/deep", sha)
    return sha


async def test_what_is_small_to_push_and_large_to_read_is_not_held(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. One blob under many names. 2. One folder under many names, which are folders of such, and so on."""
    monkeypatch.setattr(inrepo, "MAX_BYTES", 1 << 20)
    fat = place.origin.commit(dict.fromkeys((f".prow/{number}.yaml" for number in range(100)), "#" * (1 << 20)))
    deep = nested(place.origin, deep=6)
    for sha, told in (
        (fat, "o/r: what is read of it is larger than 1048576 bytes"),
        (deep, "o/r: the list of its files"),
    ):
        tracemalloc.start()
        with pytest.raises(Refused, match=told):
            await place.jobs(sha)
        held, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most - held < 10 << 20


def oddly_named(origin: Origin) -> str:
    """Commit a file whose name is no UTF-8."""
    blob = git(origin.folder, "hash-object", "-w", "--stdin", text=job("a"))
    told = {"cwd": origin.folder, "input": b"100644 blob %s\t\xff.yaml\0" % blob.encode()}
    folder = subprocess.run(["git", "mktree", "-z"], capture_output=True, check=True, **told).stdout.decode()
    sha = git(
        origin.folder,
        *("commit-tree", "-m", "odd"),
        git(origin.folder, "mktree", text=f"040000 tree {folder.strip()}\t.prow\n"),
    )
    git(origin.folder, "update-ref", "refs/heads/odd", sha)
    return sha


async def test_a_name_that_is_no_text_is_shown_and_read(place: Place) -> None:
    """git takes any bytes for a name; what is said of a file must be something that can be written down."""
    (found,) = (await place.jobs(oddly_named(place.origin))).presubmits
    assert (found.name, found.source.file) == ("a", ".prow/\\xff.yaml")
