"""Cloning real repositories: what is checked out in the end, and what the records say."""

import json
from pathlib import Path

import pytest

from prow_async.api.prowjob import Pull
from tests import gitrepo
from tests.contract.clonerefs_parts import Place, main_at, point, refs


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_pulls_are_merged_onto_the_base_in_their_order(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    first, second = origin.commit({"b": "1\n"}, base), origin.commit({"c": "1\n"}, base)
    ran = place.clone(refs(origin, base, Pull(2, "ann", second), Pull(1, "bob", first)))
    assert (ran.code, ran.clone.failed) == (0, False)
    path = "github.com/o/r"
    assert ran.clone.final_sha == place.git(path, "rev-parse", "HEAD")
    assert place.git(path, "branch", "--show-current") == "main"
    assert place.git(path, "log", "--first-parent", "--format=%P %an %at %ct").splitlines() == [
        f"{place.git(path, 'rev-parse', 'HEAD^')} {first} ci 1700000002 1700000002",
        f"{base} {second} ci 1700000001 1700000001",
        " ann 1700000000 1700000000",
    ]
    assert sorted(p.name for p in (place.root / "src" / path).iterdir()) == [".git", "a", "b", "c"]


def test_the_same_refs_give_the_same_commit_again(place: Place, tmp_path: Path) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    pull = Pull(2, "ann", origin.commit({"b": "1\n"}, base))
    shas = {
        place.clone(refs(origin, base, pull), src_root=str(tmp_path / name)).clone.final_sha for name in ("one", "two")
    }
    assert len(shas) == 1


def test_the_records_name_each_command_as_upstream_does(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    pull = Pull(5, "ann", origin.commit({"b": "1\n"}, base), ref="refs/pull/5/head")
    point(origin, "refs/pull/5/head", pull.sha)
    ran = place.clone(refs(origin, base, pull))
    folder, uri = place.root / "src/github.com/o/r", f"file://{origin.folder}"
    dates = "GIT_AUTHOR_DATE=1700000001 GIT_COMMITTER_DATE=1700000001"
    assert [command.command for command in ran.clone.commands] == [
        f"PWD=/  mkdir -p {folder}",
        f"PWD={folder}  git init",
        f"PWD={folder}  git config user.name ci",
        f"PWD={folder}  git config user.email ci@example.com",
        f"PWD={folder}  git fetch {uri} --tags --prune",
        f"PWD={folder}  git fetch {uri} {base}",
        f"PWD={folder}  git checkout {base}",
        f"PWD={folder}  git branch --force main {base}",
        f"PWD={folder}  git checkout main",
        f"PWD={folder}  git fetch {uri} refs/pull/5/head",
        f"PWD={folder} {dates} git merge --no-ff {pull.sha}",
    ]
    assert all(command.duration > 0 and not command.error for command in ran.clone.commands)
    assert ran.clone.duration >= sum(command.duration for command in ran.clone.commands)
    raw = json.loads(place.log.read_bytes())
    assert raw[0] == {"refs": {"org": "", "repo": ""}}
    assert list(raw[1]) == ["refs", "commands", "final_sha", "duration"]


@pytest.mark.parametrize("listed", [None, ""])
def test_git_looks_for_submodules_where_there_may_be_some(place: Place, listed: str | None) -> None:
    """One that nothing tells the address of fails the clone, as upstream."""
    origin = place.origin()
    tree = gitrepo.git(origin.folder, "rev-parse", f"{origin.commit({'.gitmodules': listed, 'a': ''})}^{{tree}}")
    main_at(origin, gitrepo.git(origin.folder, "commit-tree", tree, "-m", "none"))
    asked = "git submodule update --init --recursive"
    assert place.clone(refs(origin)).clone.commands[-1].command.endswith(asked) is (listed is not None)
    entries = f"{gitrepo.git(origin.folder, 'ls-tree', tree)}\n160000 commit {'1' * 40}\tsub\n"
    stray = gitrepo.git(origin.folder, "mktree", "--missing", text=entries)
    main_at(origin, gitrepo.git(origin.folder, "commit-tree", stray, "-m", "one"))
    ran = place.clone(refs(origin), src_root=f"{place.root}/again")
    assert ran.clone.commands[-1].command.endswith(asked)
    assert "sub" in ran.error


def test_a_pull_without_a_sha_is_taken_from_its_head(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    head = origin.commit({"b": "1\n"}, base)
    point(origin, "refs/pull/7/head", head)
    ran = place.clone(refs(origin, "", Pull(7, "ann")))
    assert place.git("github.com/o/r", "rev-parse", "HEAD^2") == head
    assert ran.clone.final_sha


def test_a_force_pushed_pull_is_tested_as_it_was_asked_for(place: Place) -> None:
    """The commit that the job is about, not what stands there now: the server still gives it."""
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    asked, now = origin.commit({"b": "1\n"}, base), origin.commit({"b": "2\n"}, base)
    point(origin, "refs/pull/7/head", now)
    place.clone(refs(origin, base, Pull(7, "ann", asked)))
    assert place.git("github.com/o/r", "show", "HEAD:b") == "1"


def test_a_force_pushed_pull_that_is_fetched_by_ref_is_told(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    asked, now = origin.commit({"b": "1\n"}, base), origin.commit({"b": "2\n"}, base)
    gitrepo.git(origin.folder, "update-ref", "-d", f"refs/heads/b-{asked[:12]}")
    point(origin, "refs/pull/7/head", now)
    ran = place.clone(refs(origin, base, Pull(7, "ann", asked, ref="refs/pull/7/head")))
    assert ran.error == (
        f"exit status 1: pull request #7 at {asked}: {asked} is not in what was fetched from refs/pull/7/head "
        "(gone after a force-push?)"
    )


def test_a_conflict_names_the_pull_what_it_conflicts_with_and_the_files(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n", "ü b": "1\n", "gone": "1\n"}))
    first = origin.commit({"a": "2\n", "ü b": "2\n", "gone": None}, base)
    second = origin.commit({"a": "3\n", "ü b": "3\n", "gone": "3\n"}, base)
    ran = place.clone(refs(origin, base, Pull(1, "ann", first), Pull(2, "bob", second)))
    assert ran.code == 0
    assert ran.clone.final_sha == ""
    assert ran.error == (
        f"exit status 1: pull request #2 at {second} conflicts with main with #1 merged in a, gone, ü b: "
        "it has to be rebased"
    )
    assert "CONFLICT" in ran.clone.commands[-1].output
    assert [line["level"] for line in ran.lines][-2:] == ["error", "error"]


def test_fail_makes_a_failed_clone_the_programs_failure(place: Place) -> None:
    origin = place.origin()
    main_at(origin, origin.commit({"a": "1\n"}))
    assert place.clone(refs(origin, base_ref="nope"), fail=True).code == 1
    assert place.clone(refs(origin), fail=True).code == 0


def test_missing_refs_and_commits_are_told(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    uri = f"file://{origin.folder}"
    assert place.clone(refs(origin, base_ref="nope")).error == f"exit status 128: nope: {uri} has no ref nope"
    gone = "0123456789" * 4
    assert place.clone(refs(origin, gone)).error == (
        f"exit status 128: main at {gone}: {uri} does not give that commit (gone after a force-push?)"
    )
    assert place.clone(refs(origin, base, Pull(9))).error == (
        f"exit status 128: pull request #9: {uri} has no ref pull/9/head"
    )


def test_a_repository_without_its_default_branch_is_told(place: Place) -> None:
    origin = place.origin()
    point(origin, "refs/heads/dev", origin.commit({"a": "1\n"}))
    ran = place.clone(refs(origin, base_ref="dev"))
    assert ran.error.endswith("has no default branch, which is fetched unless skip_fetch_head is set")
    assert not place.clone(refs(origin, base_ref="dev", skip_fetch_head=True)).clone.failed


def test_a_missing_repository_is_told(place: Place) -> None:
    origin = place.origin()
    ran = place.clone(refs(origin, clone_uri=f"file://{place.origins}/none.git"))
    assert "there is no such repository, or the credentials may not see it" in ran.error


def test_depth_cuts_history_of_the_base_alone(place: Place) -> None:
    origin = place.origin()
    old = origin.commit({"a": "0\n"})
    base = main_at(origin, origin.commit({"a": "1\n"}, old))
    pull = Pull(1, "ann", origin.commit({"b": "1\n"}, origin.commit({"c": "1\n"}, base)))
    ran = place.clone(refs(origin, base, pull, clone_depth=1))
    assert not ran.clone.failed
    assert place.git("github.com/o/r", "log", "--format=%s", "HEAD^1").splitlines() == ["change"]
    assert place.git("github.com/o/r", "rev-list", "--count", "HEAD") == "4"


def test_a_pull_that_parts_below_the_depth_is_told(place: Place) -> None:
    origin = place.origin()
    old = origin.commit({"a": "0\n"})
    base = main_at(origin, origin.commit({"a": "1\n"}, old))
    other = origin.commit({"z": "1\n"})
    ran = place.clone(refs(origin, base, Pull(1, "ann", other), clone_depth=1))
    assert "pull request #1 at" in ran.error
    assert "shares no history with main; clone_depth 1 may be too shallow" in ran.error


def test_blobless_fetches_leave_contents_until_they_are_needed(place: Place) -> None:
    origin = place.origin()
    old = origin.commit({"a": "0\n"})
    base = main_at(origin, origin.commit({"a": "1\n"}, old))
    pull = Pull(1, "ann", origin.commit({"b": "1\n"}, base))
    ran = place.clone(refs(origin, base, pull, blobless_fetch=True))
    assert not ran.clone.failed, ran.error
    missing = place.git("github.com/o/r", "rev-list", "--objects", "--missing=print", "--all").splitlines()
    assert [line for line in missing if line.startswith("?")]
    assert (place.root / "src/github.com/o/r/a").read_text() == "1\n"
    fetches = [command.command for command in ran.clone.commands if " git fetch " in command.command]
    assert len(fetches) == 3
    assert all("--filter=blob:none" in command for command in fetches)


def test_a_sparse_checkout_holds_what_is_listed(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"top": "1\n", "in/a": "1\n", "out/b": "1\n"}))
    gitrepo.git(origin.folder, "tag", "v1", base)
    ran = place.clone(refs(origin, base, sparse_checkout_files=("in",)))
    assert not ran.clone.failed, ran.error
    found = {p.relative_to(place.root / "src/github.com/o/r").as_posix() for p in place.root.rglob("*") if p.is_file()}
    assert {path for path in found if not path.startswith(".git/")} == {"top", "in/a"}
    assert place.git("github.com/o/r", "tag") == ""
    said = [command.command.partition(" git ")[2] for command in ran.clone.commands]
    assert f"fetch --depth 1 --filter=blob:none --no-tags file://{origin.folder} {base}" in said
    assert not [command for command in said if "submodule" in command or "--tags" in command]


def test_skipping_the_first_fetch_leaves_other_branches_and_tags(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    gitrepo.git(origin.folder, "tag", "v1", origin.commit({"z": "1\n"}))
    place.clone(refs(origin, base, skip_fetch_head=True))
    assert place.git("github.com/o/r", "tag") == ""
    place.clone(refs(origin, base))
    assert place.git("github.com/o/r", "tag") == "v1"


def test_paths_follow_alias_and_link(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    place.clone(
        refs(origin, base, path_alias="k8s.io/r"),
        refs(origin, base, repo_link="https://git.example.com/x/r"),
        refs(origin, base),
    )
    assert sorted(p.relative_to(place.root / "src").as_posix() for p in place.root.rglob("a")) == [
        "git.example.com/x/r/a",
        "github.com/o/r/a",
        "k8s.io/r/a",
    ]


def test_several_repositories_are_cloned_each_with_its_record(place: Place) -> None:
    made = []
    for number in range(5):
        origin = place.origin(f"o/r{number}")
        made.append(refs(origin, main_at(origin, origin.commit({"n": f"{number}\n"}))))
    broken = refs(place.origin("o/broken"))
    ran = place.clone(*made[:2], broken, *made[2:], max_parallel_workers=2)
    assert ran.code == 0
    assert [record.refs.repo for record in ran.records if record.failed] == ["broken"]
    assert {record.refs.repo: record.final_sha for record in ran.records[1:] if not record.failed} == {
        one.repo: one.base_sha for one in made
    }
    assert len(ran.records) == 7


def test_cloning_again_over_what_stands_there_works(place: Place) -> None:
    origin = place.origin()
    first = main_at(origin, origin.commit({"a": "1\n"}))
    second = main_at(origin, origin.commit({"a": "2\n"}, first))
    place.clone(refs(origin, second))
    assert place.clone(refs(origin, first)).clone.final_sha == first
    assert (place.root / "src/github.com/o/r/a").read_text() == "1\n"


def test_nothing_is_written_to_the_persons_own_settings(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    (place.home / "cookies").write_text("")
    ran = place.clone(refs(origin, base), cookie_path=str(place.home / "cookies"))
    assert not ran.clone.failed
    assert [p.name for p in place.home.iterdir()] == ["cookies"]
