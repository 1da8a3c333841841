"""Paths for requests, and the few shapes of path that metrics tell apart.

Source: upstream pkg/github/ghmetrics/ghpath.go for the names of the parts.
"""

import functools
from urllib.parse import quote, unquote, urlencode, urlsplit

from prow_async.api.errors import Refused, Retry

_REPO = "/repos/:owner/:repo"
_BY_ID = {
    "repositories": ("/repos/owner/repo", _REPO, "/repositories/:repoId"),
    "organizations": ("/orgs/org", "/orgs/:orgname", "/organizations/:orgId"),
}
"""How links to further pages name repositories and organizations: what stands for it, its shape, and upstream's."""
_SHAPES = (
    "/user",
    "/users/:username",
    "/graphql",
    "/search/issues",
    "/rate_limit",
    "/app/installations/:id/access_tokens",
    "/app/hook/deliveries/:deliveryId/attempts",
    "/orgs/:orgname/members/:login",
    "/orgs/:orgname/memberships/:login",
    "/orgs/:orgname/repos",
    "/orgs/:orgname/installation",
    "/orgs/:orgname/hooks/:hookId/deliveries/:deliveryId/attempts",
    "/orgs/:orgname/teams/:team_slug/members",
    "/orgs/:orgname/teams/:team_slug/memberships/:login",
    _REPO,
    _REPO + "/installation",
    _REPO + "/hooks/:hookId/deliveries/:deliveryId/attempts",
    _REPO + "/labels/:label",
    _REPO + "/contents/:contentId*",
    _REPO + "/collaborators/:collaboratorId/permission",
    _REPO + "/commits/:sha/status",
    _REPO + "/statuses/:statusId",
    _REPO + "/actions/runs/:runId/rerun",
    _REPO + "/actions/runs/:runId/rerun-failed-jobs",
    _REPO + "/actions/runs/:runId/approve",
    _REPO + "/issues/comments/:commentId",
    _REPO + "/issues/:issueId/comments",
    _REPO + "/issues/:issueId/assignees",
    _REPO + "/issues/:issueId/labels/:labelId",
    _REPO + "/pulls/:pullId/files",
    _REPO + "/pulls/:pullId/commits",
    _REPO + "/pulls/:pullId/merge",
    _REPO + "/pulls/:pullId/requested_reviewers",
    _REPO + "/branches/:branch",
    _REPO + "/git/refs/heads/:ref*",
    _REPO + "/git/ref/heads/:ref*",
)
"""Every beginning of these is a shape too. A part ending in `*` takes the rest."""

UNMATCHED = "unmatched"


def make(*parts: str | int) -> str:
    """Join parts to a path, each escaped whole. Raises Refused for a part that would climb or vanish."""
    texts = [str(part) for part in parts]
    for text in texts:
        if text in ("", ".", ".."):
            raise Refused(f"{text!r} is no part of a GitHub path: {texts}", status=400)
    return "/" + "/".join(quote(text, safe="") for text in texts)


def owner(org: str, repo: str = "") -> tuple[str, ...]:
    """Return the beginning of a path for a repository, or without `repo` for an organization."""
    return ("repos", org, repo) if repo else ("orgs", org)


def query(**wanted: str) -> str:
    """Return the query of a path with its question mark; what is empty is left out, and nothing of nothing."""
    given = urlencode({name: value for name, value in wanted.items() if value})
    return f"?{given}" if given else ""


def of_url(url: str) -> str:
    """Return a URL's path and query, safe to send: links in answers are absolute. Raises Retry for one that is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Retry(f"GitHub names an address that is none: {url[:200]!r}") from error
    path = "/" + quote(parts.path.removeprefix("/"), safe="/%:@!$&'()*+,;=~")
    return f"{path}?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else path


def org_of(path: str) -> str:
    """Return the organization (or user) a path of ours lies below; empty for none."""
    parts = path.partition("?")[0].strip("/").split("/")
    return unquote(parts[1]) if len(parts) > 1 and parts[0] in ("repos", "orgs", "users") else ""


@functools.lru_cache(maxsize=4096)
def simplify(path: str) -> str:
    """Reduce a path (without query) to its shape, so that metrics have few label values."""
    given = path.strip("/").split("/")
    if given[0] in _BY_ID:
        same, named, numbered = _BY_ID[given[0]]
        return simplify("/".join([same, *given[2:]])).replace(named, numbered)
    best: tuple[int, list[str]] | None = None
    for shape in _SHAPES:
        fit = _fit(given, shape.strip("/").split("/"))
        if fit is not None and (best is None or fit[0] > best[0]):
            best = fit
    return "/" + "/".join(best[1]) if best else UNMATCHED


def _fit(given: list[str], shape: list[str]) -> tuple[int, list[str]] | None:
    """Fit a path to a shape's beginning: the number of literal parts, and the parts' names."""
    literal = 0
    for at, part in enumerate(given):
        if at >= len(shape):
            return None
        if shape[at].endswith("*"):
            return literal, [*shape[:at], shape[at][:-1]]
        if not shape[at].startswith(":"):
            if part != shape[at]:
                return None
            literal += 1
    return literal, shape[: len(given)]
