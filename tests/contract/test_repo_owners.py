"""OWNERS read from a real repository with git, and again only when they change."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from prow_async.actors.repo_owners import RepoOwners
from prow_async.adapters.git import mirror
from prow_async.adapters.git.code import MirroredCode
from prow_async.adapters.git.command import Remote
from prow_async.api.config import Config
from prow_async.api.errors import Refused
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_review import Owners as OwnersSettings
from prow_async.ports.code import FileAt
from prow_async.ports.config import Snapshot
from tests.gitrepo import Origin

pytestmark = pytest.mark.anyio
SNAPSHOT = Snapshot(Config(), PluginConfig(), 0.0, "d")


class Counted(MirroredCode):
    """Counts what is read, beside what is listed."""

    reads = 0
    files = 0

    async def read(self, org: str, repo: str, sha: str, files: Sequence[FileAt], limit_bytes: int) -> list[bytes]:
        self.reads += 1
        self.files += len(files)
        return await super().read(org, repo, sha, files, limit_bytes)


def served(tmp_path: Path) -> tuple[Origin, Counted]:
    base = tmp_path / "server"
    return Origin(base), Counted(tmp_path / "mirrors", Remote(f"file://{base}"))


async def test_owners_follow_the_commit(tmp_path: Path) -> None:
    origin, code = served(tmp_path)
    first = origin.commit({"OWNERS": "approvers: [ann]\n", "a/_output/OWNERS": "approvers: [mallory]\n"})
    second = origin.commit({"main.go": "package main\n"}, first)
    third = origin.commit({"a/OWNERS": "reviewers: [ben]\n"}, second)
    owners = RepoOwners(code)
    assert (await owners.at(SNAPSHOT, "o", "r", first)).approvers("a/x") == {"ann"}
    assert (await owners.at(SNAPSHOT, "o", "r", second)).approvers("a/_output/x") == {"ann"}
    assert code.reads == 1, "a commit that leaves OWNERS alone costs no reading"
    found = await owners.at(SNAPSHOT, "o", "r", third)
    assert (found.approvers("a/x"), found.reviewers("a/x")) == ({"ann"}, {"ben"})


async def test_markdown_is_read_once_for_its_headers(tmp_path: Path) -> None:
    """Of many pages, more than are read at once, a commit costs those that it changes; one text may stand twice."""
    origin, code = served(tmp_path)
    page = "---\napprovers: [ann]\n---\n" + "words " * 1000
    many = {f"docs/{number}.md": f"# Page {number}\n" for number in range(300)}
    same = {"c/OWNERS": "approvers: [cy]\n", "c/a.md": "approvers: [cy]\n"}
    first = origin.commit({**many, **same, "a.md": page, "b/a.md": page})
    second = origin.commit({"a.md": page.replace("ann", "ben"), "docs/1.md": "# Other\n"}, first)
    snapshot = Snapshot(Config(), PluginConfig(owners=OwnersSettings(md_yaml_repos=("o",))), 0.0, "d")
    owners = RepoOwners(code)
    found = await owners.at(snapshot, "o", "r", first)
    assert (found.approvers("a.md"), found.approvers("b/a.md")) == ({"ann"}, {"ann"})
    assert (found.approvers("docs/1.md"), code.reads) == (frozenset(), 2)
    assert found.approvers("c/x") == {"cy"}, "the same text is no header there"
    read = code.files
    found = await owners.at(snapshot, "o", "r", second)
    assert (found.approvers("a.md"), found.approvers("b/a.md")) == ({"ben"}, {"ann"})
    assert code.files - read == 2


async def test_what_is_in_the_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that fit whatever is read: OWNERS and config-updater's files are no in-repo configuration."""
    origin, code = served(tmp_path)
    sha = origin.commit({"a": "x" * 3000})
    with pytest.raises(Refused, match="o/r: what is read of it is larger than 1000 bytes"):
        await code.read("o", "r", sha, await code.find("o", "r", sha, {"a"}), 1000)
    monkeypatch.setattr(mirror, "MERGE_TREE", (99, 1))
    with pytest.raises(Refused, match=r"reading repositories takes git 99\.1 or newer, this is .*: install"):
        await code.find("o", "r", sha, {"a"})


async def test_no_owners_and_no_commit(tmp_path: Path) -> None:
    origin, code = served(tmp_path)
    sha = origin.commit({"README": "hello\n"})
    owners = RepoOwners(code)
    assert (await owners.at(SNAPSHOT, "o", "r", sha)).approvers("README") == frozenset()
    for wrong in ("0" * 40, "--upload-pack=x"):
        with pytest.raises(Refused):
            await owners.at(SNAPSHOT, "o", "r", wrong)


async def test_depth_grows_with_what_a_commit_stands_on(tmp_path: Path) -> None:
    """Also through merges; the mirror has all history, so nothing more is fetched."""
    origin, code = served(tmp_path)
    root = origin.commit({"a": "1"})
    side = origin.commit({"b": "1"}, root)
    merge = origin.commit({"b": "1"}, origin.commit({"a": "2"}, root), side)
    assert [await code.depth("o", "r", sha) for sha in (root, side, merge)] == [1, 2, 4]
    with pytest.raises(Refused):
        await code.depth("o", "r", "0" * 40)
