"""A read-only page for each pull request or issue, so that a link on a status or in a log leads somewhere."""

import re
from html import escape

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Answer
from prow_async.sandbox.github.records import CommentRecord, IssueRecord, Repository, StatusRecord
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World

_PAGE = re.compile(r"/(?P<org>[^/]+)/(?P<repo>[^/]+)/(?:pull|issues)/(?P<number>[0-9]{1,18})/?")
_API = ("repos", "orgs", "users", "user")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap;background:#f6f8fa;padding:.7rem}td{padding:.1rem .8rem .1rem 0}"
)


def find(world: World, method: str, path: str) -> Answer | None:
    """Answer a page's address; None when it is not one. Needs no token: the door listens on loopback alone."""
    found = _PAGE.fullmatch(path)
    if method != "GET" or found is None or found["org"] in _API:
        return None
    try:
        repo = world.repo(found["org"], found["repo"])
        record = world.issue(repo.org, repo.name, int(found["number"]))
    except Refusal:
        return _html(404, "Not Found", "<p>There is no such pull request or issue here.</p>")
    return _html(200, f"{record.title} #{record.number} · {repo.full_name}", _content(world, repo, record))


def _content(world: World, repo: Repository, record: IssueRecord) -> str:
    kind = "issue"
    statuses = ""
    state = record.state
    if record.pull:
        kind = "pull request"
        state = "merged" if record.pull.merged else state
        rows = "".join(map(_row, world.newest_statuses(repo, record.pull.head_sha)))
        statuses = f"<h2>Statuses of {escape(record.pull.head_sha[:12])}</h2><table>{rows}</table>"
    labels = "".join(f" <code>{escape(name)}</code>" for name in record.labels)
    said = "".join(map(_comment, record.comments))
    return (
        f"<h1>{escape(record.title)} #{record.number}</h1>"
        f"<p>{kind} in {escape(repo.full_name)} by {escape(record.author)}: <b>{state}</b>{labels}</p>"
        f"<pre>{escape(record.body)}</pre>{statuses}<h2>Comments</h2>{said or '<p>None.</p>'}"
    )


def _row(status: StatusRecord) -> str:
    details = ""
    if status.target_url and status.target_url.startswith(("http://", "https://")):
        details = f'<a href="{escape(status.target_url)}" rel="noreferrer">Details</a>'
    cells = (escape(status.state), escape(status.context), escape(status.description or ""), details)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _comment(said: CommentRecord) -> str:
    when = shapes.instant(said.created_s)
    return f'<h3 id="issuecomment-{said.id}">{escape(said.author)}, {when}</h3><pre>{escape(said.body)}</pre>'


def _html(status: int, title: str, content: str) -> Answer:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{content}</body></html>"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        "x-content-type-options": "nosniff",
    }
    return Answer(status, headers, text.encode())
