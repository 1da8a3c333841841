"""Real git clients at the small GitHub's HTTP door: clones, fetches, pushes, and what is told of them."""

import base64
import gzip
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import msgspec
import pytest

from prow_async.api.errors import Missing, Refused
from prow_async.sandbox.github import bodies, http, landing, steps
from prow_async.sandbox.github.direct import DirectTransport
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.person import Person
from prow_async.sandbox.github.world import World
from tests.contract.github_doors import client_of
from tests.gitrepo import ENV
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import BOT_TOKEN, NOW_S, OWNER_TOKEN, STRANGER_TOKEN

pytestmark = pytest.mark.anyio
FILES = {"README.md": b"hello\n", "main.go": b"package main\n"}


class Place:
    """A served world with one repository, acme/app, and a folder to work in."""

    def __init__(self, world: World, address: str, folder: Path, session: aiohttp.ClientSession) -> None:
        self.world = world
        self.address = address
        self.folder = folder
        self._session = session
        self._pushed = 0

    @property
    def url(self) -> str:
        return f"{self.address}/acme/app.git"

    async def git(self, *arguments: str, cwd: str = ".", token: str = "", ok: bool = True, **env: str) -> str:
        """Run a git client; return what it printed, or with ok=False what it complained of."""
        settings = []
        if token:
            pair = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            settings = ["-c", f"http.extraHeader=Authorization: Basic {pair}"]
        command = ["git", *settings, *arguments]
        known = {**ENV, "HOME": str(self.folder), "GIT_TERMINAL_PROMPT": "0", "no_proxy": "*", **env}

        def run() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(command, cwd=self.folder / cwd, env=known, capture_output=True, text=True, timeout=60)

        done = await anyio.to_thread.run_sync(run)
        assert (done.returncode == 0) == ok, f"{arguments}: {done.returncode}: {done.stderr}"
        return (done.stdout if ok else done.stderr).strip()

    async def clone(self, name: str = "work", *options: str) -> str:
        await self.git("clone", "--quiet", *options, self.url, name)
        return name

    async def commit(self, files: dict[str, str | bytes], branch: str = "", cwd: str = "work") -> str:
        """Commit files in a clone, on a new branch if one is named."""
        if branch:
            await self.git("switch", "--quiet", "-c", branch, cwd=cwd)
        for name, content in files.items():
            path = self.folder / cwd / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        await self.git("add", "--all", cwd=cwd)
        await self.git("commit", "--quiet", "-m", f"Change {' '.join(files)}", cwd=cwd)
        return await self.git("rev-parse", "HEAD", cwd=cwd)

    async def push(self, *arguments: str, token: str = OWNER_TOKEN, ok: bool = True, cwd: str = "work") -> str:
        return await self.git("push", "--quiet", "origin", *arguments, cwd=cwd, token=token, ok=ok)

    async def ask(
        self, method: str, path: str, content: Any = None, token: str = BOT_TOKEN, **headers: str
    ) -> tuple[int, Any]:
        """Send a REST request; return the status and the decoded body."""
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        data = None if content is None else msgspec.json.encode(content)
        async with self._session.request(method, self.address + path, data=data, headers=sent) as reply:
            body = await reply.read()
            is_json = reply.content_type == "application/json"
            return reply.status, msgspec.json.decode(body) if is_json and body else body

    async def tip(self, ref: str = "heads/main") -> str:
        status, body = await self.ask("GET", f"/repos/acme/app/git/ref/{ref}")
        assert status == 200
        found: str = body["object"]["sha"]
        return found

    def told(self) -> list[dict[str, Any]]:
        """The events queued since the last look: their payloads, with `event` added."""
        found = []
        for hook_id in self.world.outbox.hooks_waiting():
            while (delivery := self.world.outbox.take(hook_id)) is not None:
                found.append({"event": delivery.event, **msgspec.json.decode(delivery.body)})
        return found

    async def open_pull(self, branch: str = "topic", files: dict[str, str | bytes] | None = None) -> dict[str, Any]:
        """Push a branch and open a pull request from it; return it as REST does."""
        await self.commit(files or {f"{branch}.txt": branch}, branch)
        await self.push(branch)
        status, pull = await self.ask("POST", "/repos/acme/app/pulls", {"title": "T", "head": branch, "base": "main"})
        assert status == 201, pull
        found: dict[str, Any] = pull
        return found


@asynccontextmanager
async def opened(folder: Path, push_limit_bytes: int = 2**30) -> AsyncIterator[Place]:
    world = sample.make_people()
    world.git = Repositories(folder / "server", push_limit_bytes)
    await steps.run(landing.make_repo(world, ("acme", "app"), files=FILES, now_s=NOW_S))
    world.add_hook("acme", "", "http://127.0.0.1:1/hook", b"s", now_s=NOW_S)
    async with http.serve(world, sample.FixedClock()) as address, aiohttp.ClientSession() as session:
        place = Place(world, address, folder, session)
        place.told()
        yield place


async def test_clone_shallow_blobless_and_by_sha(tmp_path: Path) -> None:
    """Whole, shallow and partial clones, with protocol 2 and the old one; a single commit by its name."""
    async with opened(tmp_path) as place:
        await place.clone()
        assert (tmp_path / "work/README.md").read_bytes() == b"hello\n"
        await place.commit({"a": "1"})
        await place.commit({"a": "2"})
        await place.push("main")
        await place.clone("shallow", "--depth=1", "--no-single-branch")
        assert await place.git("rev-list", "--count", "HEAD", cwd="shallow") == "1"
        await place.clone("blobless", "--filter=blob:none", "--no-checkout")
        missing = await place.git("rev-list", "--objects", "--missing=print", "HEAD", cwd="blobless")
        assert "\n?" in missing
        assert await place.git("show", "HEAD:a", cwd="blobless") == "2"
        await place.git("-c", "protocol.version=0", "clone", "--quiet", place.url, "old")
        first = await place.git("rev-list", "--max-parents=0", "HEAD", cwd="work")
        await place.git("init", "--quiet", "one")
        await place.git("fetch", "--quiet", "--depth=1", place.url, first, cwd="one")
        assert await place.git("rev-parse", "FETCH_HEAD", cwd="one") == first


async def test_a_fetch_of_many_haves_is_packed_and_understood(tmp_path: Path) -> None:
    """git packs long requests with gzip; a fetch after many local commits sends one."""
    async with opened(tmp_path) as place:
        await place.clone()
        for number in range(60):
            await place.commit({"a": str(number)})
        await place.clone("other")
        await place.commit({"b": "1"}, cwd="other")
        await place.push("main", cwd="other")
        await place.git("fetch", "--quiet", "origin", cwd="work")
        assert await place.git("rev-parse", "origin/main", cwd="work") == await place.tip()


async def test_a_push_is_told_with_its_commits(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        before = await place.tip()
        one = await place.commit({"docs/a.md": "a", "main.go": "package other\n"})
        two = await place.commit({"b": "b"})
        await place.push("main")
        (event,) = place.told()
        assert (event["event"], event["ref"], event["before"], event["after"]) == (
            "push",
            "refs/heads/main",
            before,
            two,
        )
        assert (event["created"], event["deleted"], event["forced"]) == (False, False, False)
        assert [c["id"] for c in event["commits"]] == [one, two]
        assert (event["commits"][0]["added"], event["commits"][0]["modified"]) == (["docs/a.md"], ["main.go"])
        assert event["head_commit"]["author"] == {"name": "ann", "email": "ann@example.com"}
        assert event["pusher"]["name"] == event["sender"]["login"] == "olga"


async def test_branches_and_tags_made_moved_by_force_and_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        old = await place.commit({"a": "1"}, "topic")
        await place.push("topic")
        (made,) = place.told()
        assert made["created"] is True
        assert made["before"] == "0" * 40
        assert [c["id"] for c in made["commits"]] == [old]
        await place.git("commit", "--quiet", "--amend", "-m", "again", cwd="work")
        await place.push("--force", "topic")
        (forced,) = place.told()
        assert forced["forced"] is True
        assert forced["before"] == old
        await place.git("tag", "-a", "-m", "one", "v1", cwd="work")
        await place.push("v1")
        (tagged,) = place.told()
        assert (tagged["ref"], tagged["commits"]) == ("refs/tags/v1", [])
        await place.push("--delete", "topic")
        (gone,) = place.told()
        assert (gone["deleted"], gone["after"], gone["head_commit"]) == (True, "0" * 40, None)
        status, _ = await place.ask("GET", "/repos/acme/app/branches/topic")
        assert status == 404


@pytest.mark.parametrize("case", ["nobody", "wrong token", "stranger", "pull ref", "main deleted"])
async def test_pushes_that_are_refused(tmp_path: Path, case: str) -> None:
    """Nothing moves and nothing is told; the client shows why."""
    token = {"nobody": "", "wrong token": "no", "stranger": STRANGER_TOKEN}.get(case, OWNER_TOKEN)
    refspec = {"pull ref": "main:refs/pull/1/head", "main deleted": ":main"}.get(case, "main")
    said = {"stranger": "403", "pull ref": "hidden ref", "main deleted": "main"}.get(case, "Authentication|terminal")
    async with opened(tmp_path) as place:
        await place.clone()
        before = await place.tip()
        await place.commit({"a": "1"})
        complaint = await place.push(refspec, token=token, ok=False)
        assert any(word in complaint for word in said.split("|")), complaint
        assert await place.tip() == before
        assert place.told() == []


NO_REVIEWS: dict[str, Any] = {
    "required_status_checks": {"strict": False, "contexts": ["unit"]},
    "enforce_admins": True,
    "required_pull_request_reviews": None,
    "restrictions": None,
}
REVIEWS = NO_REVIEWS | {"required_status_checks": None, "required_pull_request_reviews": {}}


@pytest.mark.parametrize(
    ("rule", "how", "said"),
    [
        (NO_REVIEWS, ("main",), 'Required status check "unit" is expected.'),
        (NO_REVIEWS, ("--force", "HEAD~2:main"), "Cannot force-push to this protected branch"),
        (NO_REVIEWS, ("other", "main"), 'Required status check "unit" is expected.'),
        (NO_REVIEWS | {"enforce_admins": False}, ("main",), ""),
        (NO_REVIEWS | {"enforce_admins": False}, ("--force", "HEAD~2:main"), "Cannot force-push"),
        (NO_REVIEWS | {"enforce_admins": False, "allow_force_pushes": True}, ("--force", "HEAD~2:main"), ""),
        (NO_REVIEWS | {"required_status_checks": None}, ("main",), ""),
        (REVIEWS, ("main",), "Changes must be made through a pull request."),
        (REVIEWS | {"restrictions": {"users": [], "teams": []}}, ("main",), "You're not authorized to push"),
    ],
)
async def test_a_protected_branch_declines_pushes(
    tmp_path: Path, rule: dict[str, Any], how: Sequence[str], said: str
) -> None:
    """With GitHub's words; other branches of the same push go through."""
    async with opened(tmp_path) as place:
        await place.clone()
        await place.commit({"a": "1"})
        await place.push("main")
        assert (await place.ask("PUT", "/repos/acme/app/branches/main/protection", rule))[0] == 200
        before = await place.tip()
        new = await place.commit({"b": "1"})
        await place.git("branch", "other", cwd="work")
        complaint = await place.push(*how, ok=not said)
        assert said in complaint
        assert (await place.tip() == before) is bool(said)
        if "other" in how:
            assert await place.tip("heads/other") == new


async def test_a_protected_branch_takes_what_has_passed(tmp_path: Path) -> None:
    """A commit with the checks it asks for; it is not deleted."""
    async with opened(tmp_path) as place:
        await place.clone()
        await place.ask("PUT", "/repos/acme/app/branches/main/protection", NO_REVIEWS)
        new = await place.commit({"b": "1"})
        await place.push("main:topic")
        await place.ask("POST", f"/repos/acme/app/statuses/{new}", {"state": "success", "context": "unit"})
        await place.push("main")
        assert await place.tip() == new
        await place.ask("PUT", "/repos/acme/app/branches/topic/protection", NO_REVIEWS)
        assert "Cannot delete this protected branch" in await place.push("--delete", "topic", ok=False)
        await place.ask("DELETE", "/repos/acme/app/branches/topic/protection")
        await place.push("--delete", "topic")


async def test_a_pull_request_follows_its_branch(tmp_path: Path) -> None:
    """refs/pull/N/head and merge are there before `opened` and `synchronize` are told; files come from git."""
    async with opened(tmp_path) as place:
        await place.clone()
        pull = await place.open_pull(files={"new.txt": "x\ny\n", "main.go": "package other\n"})
        opening = place.told()[-1]
        assert (opening["event"], opening["action"], opening["number"]) == ("pull_request", "opened", 1)
        assert (pull["commits"], pull["additions"], pull["deletions"], pull["changed_files"]) == (1, 3, 1, 2)
        refs = await place.git("ls-remote", place.url)
        assert f"{pull['head']['sha']}\trefs/pull/1/head" in refs
        assert f"{pull['merge_commit_sha']}\trefs/pull/1/merge" in refs
        _, files = await place.ask("GET", "/repos/acme/app/pulls/1/files")
        assert [(f["filename"], f["status"], f["additions"]) for f in files] == [
            ("main.go", "modified", 1),
            ("new.txt", "added", 2),
        ]
        new = await place.commit({"more": "1"})
        await place.push("topic")
        pushed, followed = place.told()
        assert pushed["event"] == "push"
        assert (followed["action"], followed["before"], followed["after"]) == ("synchronize", pull["head"]["sha"], new)
        await place.git("fetch", "--quiet", "origin", "pull/1/head", cwd="work")
        assert await place.git("rev-parse", "FETCH_HEAD", cwd="work") == new
        _, commits = await place.ask("GET", "/repos/acme/app/pulls/1/commits")
        assert [c["sha"] for c in commits] == [pull["head"]["sha"], new]
        await place.push("--delete", "topic")
        assert [e.get("action") for e in place.told()] == [None, "closed"]


async def test_a_conflict_is_seen_and_mended(tmp_path: Path) -> None:
    """A push to the base that conflicts makes it unmergeable; a merge of it by hand mends that."""
    async with opened(tmp_path) as place:
        await place.clone()
        await place.open_pull(files={"main.go": "package ours\n"})
        await place.git("switch", "--quiet", "main", cwd="work")
        await place.commit({"main.go": "package theirs\n"})
        await place.push("main")
        _, pull = await place.ask("GET", "/repos/acme/app/pulls/1")
        assert (pull["mergeable"], pull["mergeable_state"]) == (False, "dirty")
        assert "refs/pull/1/merge" not in await place.git("ls-remote", place.url)
        status, answer = await place.ask("PUT", "/repos/acme/app/pulls/1/merge")
        assert (status, answer["message"]) == (405, "Pull Request is not mergeable")
        await place.git("switch", "--quiet", "topic", cwd="work")
        await place.git("merge", "--quiet", "-X", "ours", "-m", "mend", "main", cwd="work")
        await place.push("topic")
        _, pull = await place.ask("GET", "/repos/acme/app/pulls/1")
        assert pull["mergeable"] is True


@pytest.mark.parametrize(("method", "parents", "commits"), [("merge", 2, 4), ("squash", 1, 2), ("rebase", 1, 3)])
async def test_merging_makes_real_commits(tmp_path: Path, method: str, parents: int, commits: int) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        await place.commit({"a": "1"}, "topic")
        pull = await place.open_pull("topic2", {"b": "2"})
        base = await place.tip()
        place.told()
        status, done = await place.ask("PUT", "/repos/acme/app/pulls/1/merge", {"merge_method": method})
        assert (status, done["merged"]) == (200, True)
        pushed, closed = place.told()
        assert (pushed["event"], pushed["before"], pushed["after"]) == ("push", base, done["sha"])
        assert (closed["action"], closed["pull_request"]["merged"]) == ("closed", True)
        assert closed["pull_request"]["merge_commit_sha"] == done["sha"]
        await place.git("pull", "--quiet", "origin", "main", cwd=await place.clone("after"))
        assert await place.git("rev-parse", "HEAD", cwd="after") == done["sha"]
        listed = (await place.git("rev-list", "--parents", "-n1", "HEAD", cwd="after")).split()
        assert len(listed) - 1 == parents
        assert await place.git("rev-list", "--count", "HEAD", cwd="after") == str(commits)
        assert (tmp_path / "after/b").read_text() == "2"
        _, seen = await place.ask("GET", "/repos/acme/app/pulls/1")
        assert (seen["merged"], seen["state"], seen["head"]["sha"]) == (True, "closed", pull["head"]["sha"])


async def test_pushing_a_head_into_its_base_merges_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        await place.open_pull()
        place.told()
        await place.push("topic:main")
        pushed, closed = place.told()
        assert pushed["ref"] == "refs/heads/main"
        assert (closed["action"], closed["pull_request"]["merged"]) == ("closed", True)


async def test_contents_comparisons_and_objects_answer_from_git(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        base = await place.tip()
        head = await place.commit({"docs/a.md": "text\n"}, "topic")
        await place.push("topic")
        _, listed = await place.ask("GET", "/repos/acme/app/contents?ref=topic")
        assert [(e["type"], e["name"]) for e in listed] == [("file", "README.md"), ("dir", "docs"), ("file", "main.go")]
        _, file = await place.ask("GET", "/repos/acme/app/contents/docs/a.md?ref=topic")
        assert base64.b64decode(file["content"]) == b"text\n"
        assert (await place.ask("GET", "/repos/acme/app/contents/docs/a.md"))[0] == 404
        _, compared = await place.ask("GET", "/repos/acme/app/compare/main...topic")
        assert (compared["status"], compared["ahead_by"], compared["behind_by"]) == ("ahead", 1, 0)
        assert [f["filename"] for f in compared["files"]] == ["docs/a.md"]
        _, commit = await place.ask("GET", f"/repos/acme/app/git/commits/{head}")
        assert commit["parents"][0]["sha"] == base
        _, tree = await place.ask("GET", f"/repos/acme/app/git/trees/{head}?recursive=1")
        assert [e["path"] for e in tree["tree"]] == ["README.md", "docs", "docs/a.md", "main.go"]
        _, blob = await place.ask("GET", f"/repos/acme/app/git/blobs/{file['sha']}")
        assert base64.b64decode(blob["content"]) == b"text\n"
        _, history = await place.ask("GET", "/repos/acme/app/commits?sha=topic&path=docs/a.md")
        assert [c["sha"] for c in history] == [head]
        assert await place.ask("GET", "/repos/acme/app/commits/topic", Accept="application/vnd.github.v3.sha") == (
            200,
            head.encode(),
        )
        status, _ = await place.ask("POST", f"/repos/acme/app/statuses/{base}", {"state": "success"})
        assert status == 201


async def test_files_written_over_rest_are_commits(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        path = "/repos/acme/app/contents/hello.py"
        put = {"message": "Say hello", "content": base64.b64encode(b"print()\n").decode(), "branch": "topic"}
        assert (await place.ask("PUT", path, put))[0] == 404
        start = {"ref": "refs/heads/topic", "sha": await place.tip()}
        await place.ask("POST", "/repos/acme/app/git/refs", start)
        assert [e["created"] for e in place.told()] == [True]
        status, made = await place.ask("PUT", path, put)
        assert status == 201
        assert (await place.ask("PUT", path, put))[0] == 422
        assert (await place.ask("PUT", path, put | {"sha": "0" * 40}))[0] == 409
        (pushed,) = place.told()
        assert (pushed["after"], pushed["commits"][0]["added"]) == (made["commit"]["sha"], ["hello.py"])
        assert pushed["commits"][0]["author"]["username"] == "prow-bot"
        await place.clone("work", "--branch=topic")
        assert (tmp_path / "work/hello.py").read_text() == "print()\n"
        gone = {"message": "Away", "sha": made["content"]["sha"], "branch": "topic"}
        assert (await place.ask("DELETE", path, gone))[0] == 200
        assert (await place.ask("GET", f"{path}?ref=topic"))[0] == 404


async def test_refs_over_rest_move_git(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        tip = await place.tip()
        assert (await place.ask("POST", "/repos/acme/app/git/refs", {"ref": "refs/heads/new", "sha": tip}))[0] == 201
        other = await place.commit({"a": "1"}, "side")
        await place.push("side")
        aside = {"sha": other}
        assert (await place.ask("PATCH", "/repos/acme/app/git/refs/heads/new", aside))[0] == 200
        assert (await place.ask("PATCH", "/repos/acme/app/git/refs/heads/new", {"sha": tip}))[0] == 422
        assert (await place.ask("PATCH", "/repos/acme/app/git/refs/heads/new", {"sha": tip, "force": True}))[0] == 200
        assert f"{tip}\trefs/heads/new" in await place.git("ls-remote", place.url)
        assert (await place.ask("DELETE", "/repos/acme/app/git/refs/heads/new"))[0] == 204
        assert "heads/new" not in await place.git("ls-remote", place.url)


async def test_what_graphql_did_not_know_it_knows_the_next_time(tmp_path: Path) -> None:
    """As on GitHub: UNKNOWN at first, and computed then; for pull requests of several repositories at once."""
    query = """{ search(type: ISSUE, query: "is:pr is:open", first: 37) { nodes { ... on PullRequest {
        mergeable headRefOid commits(last: 1) { nodes { commit { oid message } } } } } } }"""
    async with opened(tmp_path) as place:
        await place.clone()
        for branch in ("one", "two"):
            await place.open_pull(branch)
        await steps.run(landing.make_repo(place.world, ("acme", "other"), now_s=NOW_S))
        owner = Person(DirectTransport(place.world, sample.FixedClock(), OWNER_TOKEN))
        await owner.push("acme", "other", "three", "m", {"c": b"3"})
        await owner.open_pull("acme", "other", "T", "three")
        for repo, number in (("app", 1), ("other", 1), ("app", 2)):
            place.world.set_mergeable("acme", repo, number, None)
        for known in ("UNKNOWN", "MERGEABLE"):
            nodes = (await place.ask("POST", "/graphql", {"query": query}))[1]["data"]["search"]["nodes"]
            assert [node["mergeable"] for node in nodes] == [known] * 3
            assert all(n["commits"]["nodes"][0]["commit"]["oid"] == n["headRefOid"] for n in nodes)


async def test_differences_as_text_and_branches_brought_up_to_date(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        await place.open_pull(files={"new.txt": "x\n"})
        diff = "application/vnd.github.v3.diff"
        status, text = await place.ask("GET", "/repos/acme/app/pulls/1", Accept=diff)
        assert (status, b"+x" in text, text.startswith(b"diff --git")) == (200, True, True)
        status, text = await place.ask("GET", "/repos/acme/app/pulls/1", Accept="application/vnd.github.v3.patch")
        assert (status, b"Subject: [PATCH]" in text) == (200, True)
        update = "/repos/acme/app/pulls/1/update-branch"
        assert (await place.ask("PUT", update, {}))[0] == 422
        await place.git("switch", "--quiet", "main", cwd="work")
        base = await place.commit({"other": "1"})
        await place.push("main")
        place.told()
        assert (await place.ask("PUT", update, {"expected_head_sha": "0" * 40}))[0] == 422
        assert (await place.ask("PUT", update, {}))[0] == 202
        assert [e.get("action") for e in place.told()] == [None, "synchronize"]
        await place.git("fetch", "--quiet", "origin", "topic", cwd="work")
        await place.git("merge-base", "--is-ancestor", base, "FETCH_HEAD", cwd="work")


async def test_a_pull_request_goes_to_another_base(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        await place.commit({"r": "1"}, "release")
        await place.push("release")
        await place.open_pull("topic", {"t": "1"})
        assert len((await place.ask("GET", "/repos/acme/app/pulls/1/files"))[1]) == 2
        place.told()
        status, pull = await place.ask("PATCH", "/repos/acme/app/pulls/1", {"base": "release"})
        assert (status, pull["base"]["ref"], pull["changed_files"], pull["mergeable"]) == (200, "release", 1, True)
        assert [e["action"] for e in place.told()] == ["edited"]
        assert (await place.ask("PATCH", "/repos/acme/app/pulls/1", {"base": "none"}))[0] == 422


async def test_a_stranger_forks_pushes_and_opens_a_pull_request(tmp_path: Path) -> None:
    """From a fork: its commits come into the repository, its pushes are told as synchronize, its end closes it."""
    async with opened(tmp_path) as place:
        fork = "/repos/acme/app/forks"
        status, made = await place.ask("POST", fork, token=STRANGER_TOKEN)
        assert (status, made["full_name"], made["fork"]) == (202, "mallory/app", True)
        assert (await place.ask("POST", fork, token=STRANGER_TOKEN))[1]["id"] == made["id"]
        await place.git("clone", "--quiet", f"{place.address}/mallory/app.git", "work")
        first = await place.commit({"a": "1"}, "topic")
        await place.push("topic", token=STRANGER_TOKEN)
        assert place.told() == []
        form = {"title": "From afar", "head": "mallory:topic", "base": "main"}
        status, pull = await place.ask("POST", "/repos/acme/app/pulls", form, token=STRANGER_TOKEN)
        assert (status, pull["head"]["label"], pull["head"]["repo"]["id"]) == (201, "mallory:topic", made["id"])
        assert pull["author_association"] == "NONE"
        assert (await place.ask("POST", "/repos/acme/app/pulls", form, token=STRANGER_TOKEN))[0] == 422
        (opening,) = place.told()
        assert (opening["action"], opening["pull_request"]["head"]["sha"]) == ("opened", first)
        second = await place.commit({"a": "2"})
        await place.push("topic", token=STRANGER_TOKEN)
        (followed,) = place.told()
        assert (followed["action"], followed["before"], followed["after"]) == ("synchronize", first, second)
        assert f"{second}\trefs/pull/1/head" in await place.git("ls-remote", place.url)
        await place.push("--delete", "topic", token=STRANGER_TOKEN)
        assert [e["action"] for e in place.told()] == ["closed"]
        assert (await place.ask("POST", "/repos/acme/app/pulls", form | {"head": "bob:topic"}))[0] == 422


async def test_a_pull_request_of_a_fork_is_merged(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.ask("POST", "/repos/acme/app/forks", token=STRANGER_TOKEN)
        stranger = Person(DirectTransport(place.world, sample.FixedClock(), STRANGER_TOKEN))
        await stranger.push("mallory", "app", "topic", "m", {"new": b"1"})
        number = await stranger.open_pull("acme", "app", "T", "mallory:topic")
        status, done = await place.ask("PUT", f"/repos/acme/app/pulls/{number}/merge")
        assert status == 200
        message = (await place.ask("GET", f"/repos/acme/app/git/commits/{done['sha']}"))[1]["message"]
        assert message.startswith("Merge pull request #1 from mallory/topic")


async def test_pages_beside_git(tmp_path: Path) -> None:
    """Somebody forks in the browser and opens a pull request from there; the pages show git's commits."""
    async with (
        opened(tmp_path) as place,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
    ):

        async def send(path: str, /, **fields: str) -> str:
            headers = {"Origin": place.address}
            async with browser.post(place.address + path, data=fields, headers=headers) as reply:
                assert reply.status == 200, await reply.text()
                return reply.url.path

        await send("/login", token=STRANGER_TOKEN)
        assert await send("/acme/app/fork") == "/mallory/app"
        change = {"branch": "topic", "path": "new.txt", "content": "1\r\n2\r\n", "message": "Add new"}
        assert (await send("/mallory/app/commit", **change)).startswith("/mallory/app/commit/")
        for path, fields, status in (
            ("/acme/app/commit", change, 403),
            ("/mallory/app/commit", change | {"path": "../x"}, 422),
            ("/mallory/app/commit", change | {"branch": "a..b"}, 422),
        ):
            async with browser.post(place.address + path, data=fields) as reply:
                assert reply.status == status
        form = {"title": "T", "head": "mallory:topic", "base": "main", "body": ""}
        assert await send("/acme/app/pulls", **form) == "/acme/app/pull/1"
        async with browser.get(f"{place.address}/acme/app/pull/1") as reply:
            page = await reply.text()
        assert "new.txt" in page
        sha = place.world.pull("acme", "app", 1).head.sha
        async with browser.get(f"{place.address}/acme/app/commit/{sha}") as reply:
            assert "Add new" in await reply.text()
        async with browser.get(f"{place.address}/acme/app/commit/--all") as reply:
            assert reply.status == 404


async def test_branches_go_after_a_merge_and_pull_requests_with_their_base(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.clone()
        await place.open_pull("one")
        await place.git("switch", "--quiet", "main", cwd="work")
        await place.commit({"r": "1"}, "release")
        await place.push("release")
        await place.commit({"t": "1"}, "two")
        await place.push("two")
        form = {"title": "T", "head": "two", "base": "release"}
        assert (await place.ask("POST", "/repos/acme/app/pulls", form))[0] == 201
        await place.ask("PATCH", "/repos/acme/app", {"delete_branch_on_merge": True})
        place.told()
        assert (await place.ask("PUT", "/repos/acme/app/pulls/1/merge"))[0] == 200
        assert [(e["event"], e.get("deleted")) for e in place.told()] == [
            ("push", False),
            ("pull_request", None),
            ("push", True),
        ]
        await place.push("--delete", "release")
        assert [e.get("action") for e in place.told()] == [None, "closed"]
        assert sorted(
            line.split()[1] for line in (await place.git("ls-remote", "--heads", place.url)).splitlines()
        ) == [
            "refs/heads/main",
            "refs/heads/two",
        ]


async def test_two_pushes_at_once_are_told_once_each(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        shas = {}
        for name in ("one", "two", "three"):
            await place.clone(name)
            shas[f"refs/heads/{name}"] = await place.commit({name: name}, name, cwd=name)
        async with anyio.create_task_group() as tasks:
            for name in ("one", "two", "three"):
                tasks.start_soon(lambda name=name: place.push(name, cwd=name))
        assert {e["ref"]: e["after"] for e in place.told()} == shas


async def test_pushes_and_merges_at_once_are_one_chain(tmp_path: Path) -> None:
    """Whatever goes on at once, each move of the base is told once, each from where the last one ended."""
    async with opened(tmp_path) as place:
        start = await place.tip()

        async def contribute(name: str) -> None:
            person = Person(DirectTransport(place.world, sample.FixedClock(), OWNER_TOKEN))
            await person.push("acme", "app", name, name, {name: b"1"})
            number = await person.open_pull("acme", "app", name, name)
            for method in ("merge", "squash", "rebase") * 9:
                status, _ = await place.ask("PUT", f"/repos/acme/app/pulls/{number}/merge", {"merge_method": method})
                if status == 200:
                    return
                assert status == 405

        async def push(name: str) -> None:
            await place.clone(name)
            await place.commit({name: "1"}, cwd=name)
            for _ in range(30):
                await place.git("pull", "--quiet", "--rebase", "origin", "main", cwd=name)
                try:
                    await place.push("main", cwd=name)
                except AssertionError:
                    continue
                return

        async with anyio.create_task_group() as tasks:
            for name in ("one", "two", "three"):
                tasks.start_soon(contribute, name)
                tasks.start_soon(push, f"git-{name}")
        moves = [e for e in place.told() if e["event"] == "push" and e["ref"] == "refs/heads/main"]
        assert [e["before"] for e in moves] == [start, *(e["after"] for e in moves[:-1])]
        assert moves[-1]["after"] == await place.tip()
        assert len(moves) == 6
        await place.clone("whole")
        assert {"one", "two", "three", "git-one", "git-two", "git-three"} <= {*os.listdir(tmp_path / "whole")}


HOSTILE_PATHS = [
    "/acme/..%2f..%2fetc.git/info/refs?service=git-upload-pack",
    "/../../etc.git/info/refs?service=git-upload-pack",
    "/acme/nothing.git/info/refs?service=git-upload-pack",
    "/acme/app.git/info/refs?service=git-upload-archive",
    "/acme/app.git/info/refs",
    "/acme/app.git/HEAD",
    "/acme/app.git/objects/info/packs",
    "/acme/--upload-pack=x.git/info/refs?service=git-upload-pack",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
async def test_hostile_paths_lead_nowhere(tmp_path: Path, path: str) -> None:
    async with opened(tmp_path) as place:
        host, port = place.address[7:].split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            status = int((await stream.receive()).split(b" ")[1])
        assert status in (401, 403, 404)


BAD_REFS = [
    "heads/a..b",
    "heads/-x/..",
    "heads/a.lock",
    "heads/a b",
    "heads/a~1",
    "heads/a\nb",
    "pull/1/head",
    "heads/@{",
]


@pytest.mark.parametrize("ref", BAD_REFS)
async def test_bad_refs_are_refused(tmp_path: Path, ref: str) -> None:
    async with opened(tmp_path) as place:
        tip = await place.tip()
        status, _ = await place.ask("POST", "/repos/acme/app/git/refs", {"ref": f"refs/{ref}", "sha": tip})
        assert status == 422


@pytest.mark.parametrize(
    "revision", ["--output=x", "main~1", "HEAD@{1}", ":/fix", "main..topic", "a" * 300, "%00", "^main"]
)
async def test_revisions_are_names_not_expressions(tmp_path: Path, revision: str) -> None:
    async with opened(tmp_path) as place:
        assert (await place.ask("GET", f"/repos/acme/app/commits/{revision}"))[0] in (404, 422)
        assert (await place.ask("GET", f"/repos/acme/app/contents/main.go?ref={revision}"))[0] in (404, 422)


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".git/config", "a//b", "a/.GIT/hooks/x"])
async def test_bad_paths_are_not_committed(tmp_path: Path, path: str) -> None:
    async with opened(tmp_path) as place:
        put = {"message": "m", "content": ""}
        quoted = path.replace("/", "%2f").replace("..", "%2e%2e")
        assert (await place.ask("PUT", f"/repos/acme/app/contents/{quoted}", put))[0] in (404, 422)


async def test_bombs_and_large_pushes_are_stopped(tmp_path: Path) -> None:
    """A small packed body that grows is cut at the limit, a damaged one is refused, a large push too."""
    kind = {"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip"}
    bomb = gzip.compress(gzip.compress(b"\0" * 200_000_000, 1), 1)
    grown = gzip.compress(b"\0" * 200_000_000, 9)
    async with opened(tmp_path, push_limit_bytes=300_000) as place, aiohttp.ClientSession(headers=kind) as client:
        for body, status in ((grown, 413), (b"nonsense", 400), (bomb, 400)):
            async with client.post(f"{place.url}/git-upload-pack", data=body) as reply:
                assert reply.status == status
        headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
        async with client.post(f"{place.address}/repos/acme/app/issues", data=grown, headers=headers) as reply:
            assert reply.status == 413
        await place.clone()
        before = await place.tip()
        await place.commit({"large": os.urandom(400_000)})
        complaint = await place.push("main", ok=False)
        assert "413" in complaint or "too large" in complaint
        assert await place.tip() == before
        assert place.told() == []
    assert bodies.TooLarge().status == 413


async def test_a_damaged_push_changes_nothing(tmp_path: Path) -> None:
    """A push whose pack is nonsense is reported as such; the world and git stay as they were."""
    async with opened(tmp_path) as place:
        tip = await place.tip()
        line = f"{tip} {'1' * 40} refs/heads/main\0report-status"
        body = f"{len(line) + 4:04x}{line}0000".encode() + b"PACK nonsense"
        kind = "application/x-git-receive-pack-request"
        status, said = await place.ask("POST", "/acme/app.git/git-receive-pack", None, Content_Type=kind)
        assert status in (200, 400), said
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                f"{place.url}/git-receive-pack",
                data=body,
                headers={"Content-Type": kind, "Authorization": f"Bearer {OWNER_TOKEN}"},
            ) as reply,
        ):
            assert b"unpack ok" not in await reply.read()
        assert await place.tip() == tip
        assert place.told() == []


async def test_a_private_repository_is_for_its_people(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await steps.run(landing.make_repo(place.world, ("acme", "secret"), private=True, now_s=NOW_S))
        url = f"{place.address}/acme/secret.git"
        assert "could not read Username" in await place.git("ls-remote", url, ok=False)
        assert "not found" in (await place.git("ls-remote", url, token=STRANGER_TOKEN, ok=False)).lower()
        assert "refs/heads/main" in await place.git("ls-remote", url, token=OWNER_TOKEN)


async def test_repositories_outlive_the_world(tmp_path: Path) -> None:
    """A new world over the same folder has the branches; the refs of pull requests it does not know are gone."""
    async with opened(tmp_path) as place:
        await place.clone()
        tip = (await place.open_pull())["head"]["sha"]
    async with opened(tmp_path) as place:
        assert await place.tip("heads/topic") == tip
        assert "refs/pull/" not in await place.git("ls-remote", place.url)


async def test_files_and_trees_through_the_client(tmp_path: Path) -> None:
    """A file at a commit comes as its bytes; what is not there is Missing, a folder is refused."""
    async with opened(tmp_path) as place:
        await place.clone()
        sha = await place.commit({"docs/ü.md": b"\xffnot text"})
        await place.push("main")
        tree = await place.git("rev-parse", "HEAD^{tree}", cwd="work")
        async with client_of(place.world, "http") as github:
            assert await github.file_content("acme", "app", "docs/ü.md", sha) == b"\xffnot text"
            with pytest.raises(Missing):
                await github.file_content("acme", "app", "docs/none.md", sha)
            with pytest.raises(Refused):
                await github.file_content("acme", "app", "docs", sha)
            assert await github.tree_sha("acme", "app", sha) == tree
