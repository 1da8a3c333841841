"""OWNERS: both forms, aliases, folders, and files that do not count."""

import pytest

from prow_async.api.config_sections import OwnersDirDenylist
from prow_async.core import owners
from prow_async.core.owners import Group

FILES = {
    "OWNERS": b"approvers: [Root, '@team-a', broken]\nreviewers: [lead]\n",
    "OWNERS_ALIASES": b"aliases:\n  team-a: [Ann, ben]\n  broken: text\n  map: {cy: 1}\n",
    "src/OWNERS": b"options: {no_parent_owners: true}\nreviewers: [src]\n",
    "src/deep/OWNERS": b"filters:\n  '\\.go$': {approvers: [gopher]}\n  '.*': {approvers: [deep]}\n",
    "bad/OWNERS": b"approvers: [unclosed\n",
    "empty/OWNERS": b"",
    "doc/OWNERS_ALIASES": b"aliases: {team-a: [mallory]}\n",
    "doc/guide.md": b"---\napprovers: [writer]\n---\n# Guide\n",
    "doc/plain.md": b"# Plain\n",
}


@pytest.fixture
def found() -> owners.Owners:
    return owners.of_files(FILES, "OWNERS", "OWNERS_ALIASES")


@pytest.mark.parametrize(
    ("path", "approvers", "reviewers"),
    [
        ("README", {"root", "ann", "ben"}, {"lead"}),
        ("bad/x", {"root", "ann", "ben"}, {"lead"}),
        ("empty/x", {"root", "ann", "ben"}, {"lead"}),
        ("src/x", {"root", "ann", "ben"}, {"src"}),  # nobody approves in src: the way goes on up
        ("src/deep/x.go", {"gopher", "deep"}, {"src"}),
        ("src/deep/x.c", {"deep"}, {"src"}),
        ("src/deep/er/x.go", {"gopher", "deep"}, {"src"}),
        ("doc/guide.md", {"writer", "root", "ann", "ben"}, {"lead"}),
        ("doc/plain.md", {"root", "ann", "ben"}, {"lead"}),
    ],
)
def test_who_cares_for_a_path(found: owners.Owners, path: str, approvers: set[str], reviewers: set[str]) -> None:
    assert found.approvers(path) == approvers
    assert found.reviewers(path) == reviewers


def test_the_simple_form_hides_filters() -> None:
    file = owners.parse(b"approvers: [a]\nfilters: {'.*': {approvers: [b]}}\n", {})
    assert file is not None
    assert file.filters == (("", Group(frozenset({"a"}))),)


@pytest.mark.parametrize("simple", ["labels: [area/x]", "required_reviewers: [a]"])
def test_it_hides_them_whatever_it_says(simple: str) -> None:
    assert owners.parse(f"{simple}\nfilters: {{'.*': {{approvers: [b]}}}}\n".encode(), {}) is None


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("approvers: text\nreviewers: [a]\n", ()),
        ("approvers: text\nfilters: {x: {approvers: [b]}}\n", (("x", Group(frozenset({"b"}))),)),
        ("options: {no_parent_owners: maybe}\napprovers: [a]\n", ()),
        ("filters: {x: {approvers: [b]}, y: {reviewers: text}}\n", ()),
        ("approvers: [1234, '@Ann', null]\n", (("", Group(frozenset({"1234", "ann"}))),)),
    ],
)
def test_values_of_the_wrong_kind(text: str, filters: tuple[tuple[str, Group], ...]) -> None:
    """One spoils its form whole, as in Go; numbers are names."""
    file = owners.parse(text.encode(), {})
    assert (file.filters if file is not None else ()) == filters


def test_markdown_has_the_simple_form_alone() -> None:
    assert owners.parse(b"---\nfilters: {'.*': {approvers: [a]}}\n---\n", {}, "a.md") is None


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("OWNERS", b"approvers: [a]\n"),
        ("a.md", b"---\r\napprovers: [a]\r\n---\r\n# Title\r\n"),
        ("a.md", b"---\napprovers: [a]\n---\n"),
        ("a.md", b"---\napprovers: [a]\n"),
        ("a.md", b"# Title\n---\nx\n---\n"),
    ],
)
def test_what_counts_of_a_file_says_the_same(path: str, data: bytes) -> None:
    kept = owners.counts(path, data)
    assert owners.parse(kept, {}, path) == owners.parse(data, {}, path)
    assert b"Title" not in kept


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe", b"[]", b"approvers: text", b"approvers: {1: x}", b"filters: {'(': {approvers: [a]}}", b"a: &a [*a]"],
)
def test_what_does_not_read_does_not_count(text: bytes) -> None:
    assert owners.parse(text, {}) is None


@pytest.mark.parametrize(
    ("path", "denylist", "denied"),
    [
        ("a/_output/OWNERS", None, True),
        ("a/_output/deep/OWNERS", None, True),
        ("vendor/x/y/OWNERS", None, True),
        ("vendor/OWNERS", None, False),
        ("_output/OWNERS", OwnersDirDenylist(ignore_preconfigured_defaults=True), False),
        ("gen/OWNERS", OwnersDirDenylist(repos={"o/r": ("^gen$",)}), True),
        ("gen/OWNERS", OwnersDirDenylist(repos={"o": ("^gen$",)}), True),
        ("gen/OWNERS", OwnersDirDenylist(repos={"p": ("^gen$",)}, default=("(",)), False),
        ("OWNERS", OwnersDirDenylist(default=(".*",)), False),
    ],
)
def test_folders_that_do_not_count(path: str, denylist: OwnersDirDenylist | None, denied: bool) -> None:
    assert owners.is_denied(path, denylist, "o/r") is denied
