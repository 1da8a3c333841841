"""Paths: escaped when made, few when counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.adapters.github import paths
from prow_async.api.errors import Refused


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("repos", "o", "r", "pulls", 7), "/repos/o/r/pulls/7"),
        (("labels", "kind/bug"), "/labels/kind%2Fbug"),
        (("a b", "c?d#e", "é", "{x}", "%2F"), "/a%20b/c%3Fd%23e/%C3%A9/%7Bx%7D/%252F"),
    ],
)
def test_parts_are_escaped(parts: tuple[str | int, ...], path: str) -> None:
    """No part can leave its place in the path."""
    assert paths.make(*parts) == path


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_parts_that_climb_are_refused(part: str) -> None:
    """Empty and dotted parts would make another path."""
    with pytest.raises(Refused):
        paths.make("repos", part, "r")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://github.invalid/user", "/user"),
        (
            "https://ghe.invalid/api/v3/repositories/1/x?per_page=100&page=2",
            "/api/v3/repositories/1/x?per_page=100&page=2",
        ),
        ("https://github.invalid/labels/kind%2Fbug", "/labels/kind%2Fbug"),
        ("https://github.invalid", "/"),
        ("pulls?page=2", "/pulls?page=2"),
        (".evil.invalid/x", "/.evil.invalid/x"),
        ("@evil.invalid/x", "/@evil.invalid/x"),
        ("https://x.invalid/a b?c d", "/a%20b?c%20d"),
    ],
)
def test_urls_become_paths(url: str, path: str) -> None:
    """Only path and query of a URL are sent, and nothing in them can split a request."""
    assert paths.of_url(url) == path


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/user", "/user"),
        ("/repos/o/r", "/repos/:owner/:repo"),
        ("/repos/o/r/pulls/7", "/repos/:owner/:repo/pulls/:pullId"),
        ("/repos/o/r/pulls/7/files", "/repos/:owner/:repo/pulls/:pullId/files"),
        ("/repos/o/r/issues/7/comments", "/repos/:owner/:repo/issues/:issueId/comments"),
        ("/repos/o/r/issues/comments/7", "/repos/:owner/:repo/issues/comments/:commentId"),
        ("/repos/o/r/issues/7/labels/kind%2Fbug", "/repos/:owner/:repo/issues/:issueId/labels/:labelId"),
        ("/repos/o/r/git/ref/heads/a/b", "/repos/:owner/:repo/git/ref/heads/:ref"),
        ("/repos/o/r/statuses/abc", "/repos/:owner/:repo/statuses/:statusId"),
        ("/repositories/17/pulls/7/files", "/repositories/:repoId/pulls/:pullId/files"),
        ("/repositories/17", "/repositories/:repoId"),
        ("/repositories/17/nothing", "unmatched"),
        ("/organizations/17/teams", "/organizations/:orgId/teams"),
        ("/organizations/17/repos", "/organizations/:orgId/repos"),
        ("/repos/o/r/pulls/7/requested_reviewers", "/repos/:owner/:repo/pulls/:pullId/requested_reviewers"),
        ("/repos/o/r/contents/a/b", "/repos/:owner/:repo/contents/:contentId"),
        ("/app/installations/7/access_tokens", "/app/installations/:id/access_tokens"),
        ("/orgs/o/members/u", "/orgs/:orgname/members/:login"),
        ("/nothing", "unmatched"),
        ("/repos/o/r/nothing/7", "unmatched"),
        ("/", "unmatched"),
    ],
)
def test_shapes(path: str, shape: str) -> None:
    """Names and numbers are taken out, and what is unknown has one name."""
    assert paths.simplify(path) == shape


@given(st.text(max_size=60))
def test_any_path_has_one_of_few_shapes(text: str) -> None:
    """No input makes a label of its own."""
    shape = paths.simplify("/" + text)
    assert shape == paths.UNMATCHED or shape.startswith(
        ("/repos", "/user", "/org", "/rate_limit", "/graphql", "/search", "/app")
    )
    assert text not in shape or len(text) <= len(shape)
