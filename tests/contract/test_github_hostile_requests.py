"""Every route of the small GitHub beside real git, with odd names, bodies and times: an answer always comes."""

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from prow_async.api.errors import CannotStart
from prow_async.sandbox.github import ground, landing, merging, rest, steps
from prow_async.sandbox.github.call import Route
from prow_async.sandbox.github.git import command, reading, writing
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.git.writing import RefMove
from prow_async.sandbox.github.pulls import PullForm
from prow_async.sandbox.github.records import Signature
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S

ODD = [
    *(
        "1",
        "main",
        "heads/main",
        "heads/topic",
        "main...topic",
        "main...none",
        "--all",
        "-",
        "..",
        "../..",
        "%00",
        "%FF",
    ),
    *(
        "%2e%2e%2f",
        "é",
        "a" * 300,
        "0" * 40,
        "HEAD",
        "main%5e%7btree%7d",
        "README.md",
        "@%7b1%7d",
        "refs%2fheads%2fmain",
    ),
]
VALUES: list[Any] = [
    *(None, 0, -1, True, [], {}, "", "main", "--force", "\x00", "../x", "0" * 40, "refs/heads/x", ["\ud800"], ["a", 1]),
    *({"contexts": ["a"]}, {"url": 1}, "é\n\r", "x" * 5000),
]
FIELDS = (
    *(
        "title",
        "body",
        "head",
        "base",
        "state",
        "labels",
        "sha",
        "ref",
        "message",
        "content",
        "branch",
        "event",
        "force",
    ),
    *("merge_method", "commit_title", "expected_head_sha", "head_sha", "name", "config", "required_status_checks"),
    *("enforce_admins", "required_pull_request_reviews", "restrictions", "query", "variables", "comments", "path"),
)


def made(folder: Path) -> World:
    world = sample.make_people()
    world.git = Repositories(folder / "server")
    repo = steps.run_here(landing.make_repo(world, ("acme", "app"), now_s=NOW_S))
    git = ground.git_of(world, repo)
    files = {"README.md": b"2", "a/é b": b"x"}
    tip = writing.commit_files(git, repo.refs["heads/main"], files, "m", ground.sign("bob", NOW_S))
    writing.move(git, [RefMove("heads/topic", tip, writing.NOTHING)])
    steps.run_here(landing.settle(world, repo, "bob", NOW_S))
    steps.run_here(merging.open_pull(world, repo, "bob", PullForm("T", "topic"), NOW_S))
    return world


def _filled(route: Route, dice: random.Random) -> str:
    known = {"org": "acme", "repo": "app", "owner": "acme"}

    def part(found: "re.Match[str]") -> str:
        if found.group(1) in known and dice.random() < 0.9:
            return known[found.group(1)]
        return "1" if found.group(2) == "int" else dice.choice(ODD)

    return re.sub(r"\{(\w+)(?::(\w+))?\}", part, route.pattern)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_every_route_answers(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    world = made(tmp_path)
    for route in [*rest.ROUTES] * 2:
        path = _filled(route, dice)
        query = dice.choice(
            ["", "?ref=--all", "?sha=%00", "?path=../x", "?q=is:pr", "?per_page=0&page=x", "?recursive=1"]
        )
        body = {field: dice.choice(VALUES) for field in dice.sample(FIELDS, 8)}
        content = dice.choice([body, None, [], b"{", b"\xff"])
        accept = dice.choice(["", "application/vnd.github.v3.diff", "application/vnd.github.v3.raw"])
        if isinstance(content, dict):
            content = {key: value for key, value in content.items() if value != ["\ud800"]}
        answer, _ = sample.ask(world, route.method, path + query, content, accept=accept)
        assert answer.status < 500, f"{route.method} {path}{query} {content}: {answer.body!r}"
    assert sorted(os.listdir(tmp_path)) == ["server"]
    assert {*os.listdir(tmp_path / "server")} <= {"acme", "prow-bot"}


PEOPLE = [("a<b>\n", "", 1.0), ("", "x\n>", 0.0), ("\x00", "é@é", -5.0), ("名", "n@localhost", 4e9)]


@pytest.mark.parametrize(("name", "email", "at_s"), PEOPLE)
def test_odd_people_can_commit(tmp_path: Path, name: str, email: str, at_s: float) -> None:
    """A signature leaves out what git cannot hold; what git shows is read back whole."""
    world = made(tmp_path)
    repo = world.repo("acme", "app")
    git = ground.git_of(world, repo)
    message = "über\n\n-- odd\x01 "
    sha = writing.commit_files(git, repo.refs["heads/main"], {"x": b""}, message, Signature(name, email, at_s))
    read = reading.commit(git, sha)
    assert read is not None
    assert read.written is not None
    assert read.written.at_s == max(0, at_s)
    assert read.message == message
    assert [f.filename for f in read.files] == ["x"]


NAMES = ["a b", "tab\there", "new\nline", 'quo"te', "é", "-dash", ":(glob)*", "back\\slash"]


def test_odd_names_of_files_are_read_as_they_are(tmp_path: Path) -> None:
    world = made(tmp_path)
    repo = world.repo("acme", "app")
    git = ground.git_of(world, repo)
    base = repo.refs["heads/main"]
    sha = writing.commit_files(git, base, dict.fromkeys(NAMES, b"1\n"), "m", ground.sign("bob", NOW_S))
    read = reading.commit(git, sha)
    assert read is not None
    assert sorted(f.filename for f in read.files) == sorted(NAMES)
    compared = reading.difference(git, base, sha)
    assert sorted((f.filename, f.additions) for f in compared) == sorted((name, 1) for name in NAMES)
    listed = reading.tree(git, sha) or []
    assert {*NAMES} <= {entry.path for entry in listed}
    history = reading.commits(git, [sha], 10, path=":(glob)*")
    assert [one.sha for one in history] == [sha]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "-x", "", "a.git", ".hidden", "a\x00", "a" * 101, "ä"])
def test_names_of_repositories_cannot_lead_out(tmp_path: Path, name: str) -> None:
    store = Repositories(tmp_path / "server")
    for org, repo in ((name, "app"), ("acme", name)):
        with pytest.raises(Refusal):
            store.at(org, repo)


@pytest.mark.parametrize(("said", "word"), [("git version 2.30.2", "2.38"), ("", "2.38"), (None, "PATH")])
def test_a_git_that_is_missing_or_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, word: str
) -> None:
    if said is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart, match=word):
        command.require()
