"""Pages to look at: repositories, pull requests, issues, commits."""

from collections.abc import Sequence

from prow_async.sandbox.github import comparing, ground, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.pages import html
from prow_async.sandbox.github.pages.html import Markup
from prow_async.sandbox.github.pulls import pull_part
from prow_async.sandbox.github.records import CommentRecord, IssueRecord, Repository, StatusRecord
from prow_async.sandbox.github.refusal import Refusal, missing
from prow_async.sandbox.github.steps import Steps
from prow_async.sandbox.github.world import World

LISTED = 200
"""So many entries a list on a page has; the newest."""


def visible(call: Call) -> Repository:
    """Return the repository of an address. Raises Refusal (404) where the viewer may not know of it."""
    repo = call.repo
    if repo.private and not (call.login and call.world.permission(repo, call.login)):
        raise missing()
    return repo


def home(call: Call) -> Content:
    """List the repositories the viewer may see."""
    world = call.world
    seen = [r for r in world.repositories.values() if not r.private or (call.login and world.permission(r, call.login))]
    rows = [
        (html.link(html.path(r.org, r.name), r.full_name), f"{_count(r, True)} open", r.default_branch) for r in seen
    ]
    orgs = [
        html.link(
            html.path("organizations", org.account.login, "settings", "hooks"), f"Webhooks of {org.account.login}"
        )
        for org in world.organizations.values()
        if org.account.kind == "Organization"
    ]
    places = html.table([], [(one,) for one in orgs])
    return html.page(
        "Repositories",
        call.login,
        html.tag("h1", "Repositories"),
        html.table(["Name", "Pull requests", "Branch"], rows),
        places,
    )


def _count(repo: Repository, pulls: bool) -> int:
    return sum(r.closed_s is None and (r.pull is not None) == pulls for r in repo.issues.values())


def repository(call: Call) -> Content:
    """Show a repository: how to clone it, its branches, what is open."""
    repo = visible(call)
    here = html.path(repo.org, repo.name)
    clone = html.tag("pre", f"git clone {call.world.address}/{repo.full_name}.git") if call.world.git else ""
    branches = sorted(ref.removeprefix("heads/") for ref in repo.refs if ref.startswith("heads/"))
    rows = [
        (name, html.link(f"{here}/commit/{repo.refs[f'heads/{name}']}", repo.refs[f"heads/{name}"][:12]))
        for name in branches[:LISTED]
    ]
    return html.page(
        repo.full_name,
        call.login,
        html.tag("h1", repo.full_name),
        clone,
        html.tag(
            "p",
            html.link(f"{here}/pulls", f"{_count(repo, True)} open pull requests"),
            " · ",
            html.link(f"{here}/issues", f"{_count(repo, False)} open issues"),
            " · ",
            html.link(f"{here}/settings/hooks", "Webhooks"),
        ),
        html.tag("h2", "Branches"),
        html.table(["Name", "Commit"], rows),
        html.form(f"{here}/fork", button="Fork") if call.login and call.world.git else "",
        _new_commit(repo) if call.login and call.world.git and call.world.may_push(repo, call.login) else "",
        _new_pull(repo, branches) if call.login else "",
        _new_issue(repo) if call.login else "",
    )


def _new_pull(repo: Repository, branches: Sequence[str]) -> Markup:
    """Make the form; from a fork it leads to the repository it was forked from."""
    heads = [f"{repo.org}:{name}" if repo.fork_of else name for name in branches if name != repo.default_branch]
    fields = (
        html.choice("head", "From", heads),
        html.choice("base", "Onto", branches, repo.default_branch),
        html.field("title", "Title"),
        html.area("body", "Description"),
    )
    where = html.path(*repo.fork_of.split("/"), "pulls") if repo.fork_of else html.path(repo.org, repo.name, "pulls")
    box = html.form(where, *fields, button="Open pull request")
    return html.tag("h2", "Open a pull request") + box


def _new_commit(repo: Repository) -> Markup:
    fields = (
        html.field("branch", "Branch (a new one begins at the default branch)"),
        html.field("path", "File"),
        html.area("content", "Content"),
        html.field("message", "Message"),
    )
    box = html.form(html.path(repo.org, repo.name, "commit"), *fields, button="Commit")
    return html.tag("h2", "Commit a file") + box


def _new_issue(repo: Repository) -> Markup:
    fields = (html.field("title", "Title"), html.area("body", "Description"))
    box = html.form(html.path(repo.org, repo.name, "issues"), *fields, button="Open issue")
    return html.tag("h2", "Open an issue") + box


def pulls(call: Call) -> Content:
    return _list(call, "Pull requests", True)


def issues(call: Call) -> Content:
    return _list(call, "Issues", False)


def _list(call: Call, title: str, pulls: bool) -> Content:
    repo = visible(call)
    found = [r for r in reversed(repo.issues.values()) if (r.pull is not None) == pulls]
    found.sort(key=lambda r: r.closed_s is not None)
    rows = [
        (f"#{r.number}", html.link(_path(repo, r), r.title), _state(r), r.author, ", ".join(r.labels))
        for r in found[:LISTED]
    ]
    top = html.tag("h1", f"{title} of ", html.link(html.path(repo.org, repo.name), repo.full_name))
    return html.page(title, call.login, top, html.table(["", "Title", "State", "By", "Labels"], rows))


def _path(repo: Repository, record: IssueRecord) -> str:
    return html.path(repo.org, repo.name, "pull" if record.pull else "issues", record.number)


def _state(record: IssueRecord) -> str:
    if record.pull is None or record.closed_s is not None:
        return "merged" if record.pull and record.pull.merged else record.state
    return "draft" if record.pull.draft else "open"


def one(call: Call) -> Steps[Content]:
    """Show a pull request or issue: statuses with where they lead, reviews, comments, and forms for the viewer."""
    world, repo = call.world, visible(call)
    record = world.issue(repo.org, repo.name, call.number)
    yield from comparing.looked_at(world, repo, record)
    kind = "pull request" if record.pull else "issue"
    labels = html.join(html.tag("code", name) + " " for name in record.labels)
    said = [_comment(comment) for comment in record.comments] or [html.tag("p", "None.")]
    return html.page(
        f"{record.title} #{record.number} · {repo.full_name}",
        call.login,
        html.tag("h1", f"{record.title} #{record.number}"),
        html.tag(
            "p",
            f"{kind} in ",
            html.link(html.path(repo.org, repo.name), repo.full_name),
            f" by {record.author}: ",
            html.tag("b", _state(record)),
            " ",
            labels,
        ),
        html.tag("pre", record.body),
        _pull(world, repo, record) if record.pull else "",
        html.tag("h2", "Comments"),
        *said,
        _acts(call, repo, record)
        if call.login
        else html.tag("p", html.link("/login", "Sign in"), " to say something."),
    )


def _pull(world: World, repo: Repository, record: IssueRecord) -> Markup:
    part = pull_part(record)
    here = html.path(repo.org, repo.name)
    mergeable = {True: "no conflicts", False: "conflicts", None: "not known whether it merges"}[part.mergeable]
    blocked = world.blocked_by(repo, record)
    files = [(f.filename, f.status) for f in list(part.files.values())[:LISTED]]
    reviews = [(r.author, r.state.lower().replace("_", " "), r.body) for r in part.reviews]
    head = html.link(f"{here}/commit/{part.head_sha}", part.head_sha[:12])
    return html.join(
        [
            html.tag(
                "p", f"{part.head_ref} onto {part.base_ref}; {'; '.join([mergeable, *([blocked] if blocked else [])])}"
            ),
            html.tag("h2", "Statuses of ", head),
            html.table([], map(_status, world.newest_statuses(repo, part.head_sha))),
            html.tag("h2", "Reviews"),
            html.table([], reviews),
            html.tag("h2", "Files"),
            html.table([], files),
        ]
    )


def _status(status: StatusRecord) -> tuple[object, ...]:
    return status.state, status.context, status.description or "", html.outside(status.target_url, "Details")


def _comment(said: CommentRecord) -> Markup:
    head = html.tag("h3", f"{said.author}, {shapes.instant(said.created_s)}", id=f"issuecomment-{said.id}")
    return head + html.tag("pre", said.body)


def _acts(call: Call, repo: Repository, record: IssueRecord) -> Markup:
    """Make the forms of what the viewer may do."""
    where, world = _path(repo, record), call.world
    forms = [html.form(f"{where}/comment", html.area("body", "Comment"), button="Comment")]
    may_merge = record.pull is not None and record.closed_s is None and world.may_push(repo, call.login)
    if record.pull is not None and record.closed_s is None and call.login.lower() != record.author.lower():
        forms.append(
            html.form(
                f"{where}/review", html.choice("event", "Review", _EVENTS), html.field("body", "Why"), button="Submit"
            )
        )
    if may_merge:
        forms.append(
            html.form(f"{where}/merge", html.choice("method", "", ("merge", "squash", "rebase")), button="Merge")
        )
    if record.author.lower() == call.login.lower() or world.may_triage(repo, call.login):
        state = "closed" if record.closed_s is None else "open"
        hidden = Markup(f'<input type="hidden" name="state" value="{state}">')
        forms.append(html.form(f"{where}/state", hidden, button="Close" if state == "closed" else "Reopen"))
    return html.join(forms)


_EVENTS = ("COMMENT", "APPROVE", "REQUEST_CHANGES")


def commit(call: Call) -> Steps[Content]:
    """Show a commit: its message, its files, what was said of it."""
    repo = visible(call)
    try:
        sha = yield from ground.known(call.world, repo, call.params["sha"])
    except Refusal:
        raise Refusal(404, "There is no such commit here.") from None
    found = repo.commits[sha]
    name = found.written.name if found.written else found.author
    return html.page(
        f"{sha[:12]} · {repo.full_name}",
        call.login,
        html.tag("h1", f"Commit {sha[:12]}"),
        html.tag(
            "p",
            f"by {name}, {shapes.instant(found.created_s)}, in ",
            html.link(html.path(repo.org, repo.name), repo.full_name),
        ),
        html.tag("pre", found.message),
        html.tag("h2", "Statuses"),
        html.table([], map(_status, call.world.newest_statuses(repo, sha))),
        html.tag("h2", "Files"),
        html.table([], [(f.filename, f.status) for f in found.files[:LISTED]]),
    )


ROUTES = (
    Route("GET", "/", home),
    Route("GET", "/{org}/{repo}", repository),
    Route("GET", "/{org}/{repo}/pulls", pulls),
    Route("GET", "/{org}/{repo}/issues", issues),
    Route("GET", "/{org}/{repo}/(?:pull|issues)/{number:int}/?", one),
    Route("GET", "/{org}/{repo}/commit/{sha}", commit),
)
