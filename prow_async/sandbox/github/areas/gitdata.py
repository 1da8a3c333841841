"""What is in the repositories: commits, comparisons, contents, and git's own objects."""

import base64
import binascii
from functools import partial
from typing import Any
from urllib.parse import quote

from prow_async.api.github import ChangedFile
from prow_async.sandbox.github import ground, landing, shapes
from prow_async.sandbox.github.areas import repos
from prow_async.sandbox.github.branches import changed
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.git import names, reading
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.git.reading import TreeEntry
from prow_async.sandbox.github.refusal import Refusal, invalid, missing
from prow_async.sandbox.github.steps import Steps, ask


def commit(call: Call) -> Steps[Content]:
    """Answer a commit; by Accept its bare SHA."""
    try:
        sha = yield from ground.known(call.world, call.repo, call.params["ref"])
    except Refusal:
        raise Refusal(422, f"No commit found for SHA: {call.params['ref']}") from None
    if ".sha" in call.accept:
        return Content(200, None, {"content-type": "application/vnd.github.v3.sha; charset=utf-8"}, sha.encode())
    return Content(200, shapes.commit(call.world, call.repo, call.repo.commits[sha]))


def commits(call: Call) -> Steps[Content]:
    """List history from `sha` (the default branch), newest first; of `path` alone if given."""
    repo = call.repo
    if call.world.git is None:
        return call.page(list(repo.commits.values())[::-1], lambda one: shapes.commit(call.world, repo, one))
    start = yield from ground.known(call.world, repo, call.query.get("sha") or repo.default_branch)
    path = call.query.get("path", "")
    if path and not names.is_path(path):
        return Content(200, [])
    size, page = call.wanted_page()
    git = ground.git_of(call.world, repo)
    read = partial(reading.commits, git, [start], size + 1, path=path, skip=(page - 1) * size)
    found = yield from ask(read)
    ground.remember(call.world, repo, found)
    shown = [shapes.commit(call.world, repo, repo.commits[one.sha]) for one in found[:size]]
    for one in shown:
        del one["files"]
    return Content(200, shown, call.link_to_next(page) if len(found) > size else {})


def compare(call: Call) -> Steps[Content]:
    """Compare `BASE...HEAD`, from where their histories part."""
    base_name, dots, head_name = call.params["what"].partition("...")
    if not dots:
        raise missing()
    base = yield from ground.known(call.world, call.repo, base_name)
    head = yield from ground.known(call.world, call.repo, head_name)
    git = _git(call)
    common = yield from ask(partial(reading.merge_base, git, base, head))
    if common is None:
        raise Refusal(404, f"No common ancestor between {base_name} and {head_name}.")
    ahead, behind = yield from ask(partial(reading.count, git, base, head))
    found = yield from ask(partial(reading.commits, git, [head, f"^{base}"], reading.COMMITS_LIMIT))
    files = yield from ask(partial(reading.difference, git, common, head))
    start = yield from ground.known(call.world, call.repo, common)
    ground.remember(call.world, call.repo, found)
    status = ("diverged" if behind else "ahead") if ahead else ("behind" if behind else "identical")
    known, world, repo = call.repo.commits, call.world, call.repo
    content = {
        "url": f"{world.address}{call.path}",
        "html_url": f"{world.address}/{repo.full_name}/compare/{base_name}...{head_name}",
        "base_commit": shapes.commit(world, repo, known[base]),
        "merge_base_commit": shapes.commit(world, repo, known[start]),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [shapes.commit(world, repo, known[one.sha]) for one in reversed(found)],
        "files": [shapes.changed_file(one) for one in files[:300]],
    }
    return Content(200, content)


def contents(call: Call) -> Steps[Content]:
    """Answer a file with its content in base64, or a folder as a list; by Accept a file raw."""
    path = call.params.get("path", "").strip("/")
    if path and not names.is_path(path):
        raise missing()
    git = _git(call)
    sha = yield from ground.known(call.world, call.repo, call.query.get("ref") or call.repo.default_branch)
    listed = yield from ask(partial(reading.tree, git, f"{sha}:{path}"))
    if listed is not None:
        prefix = f"{path}/" if path else ""
        return Content(200, [_content(call, prefix + entry.path, entry) for entry in listed])
    folder, _, name = path.rpartition("/")
    around = yield from ask(partial(reading.tree, git, f"{sha}:{folder}"))
    entry = next((one for one in around or () if one.path == name and one.kind == "blob"), None)
    if entry is None:
        raise missing()
    data = yield from ask(partial(reading.blob, git, entry.sha))
    if ".raw" in call.accept:
        return Content(200, None, {"content-type": "application/vnd.github.v3.raw; charset=utf-8"}, data)
    encoded = base64.encodebytes(data or b"").decode()
    return Content(200, _content(call, path, entry) | {"encoding": "base64", "content": encoded})


def put_file(call: Call) -> Steps[Content]:
    """Commit one file to a branch, as new or in place of the blob `sha`.

    Raises Refusal: 422 for what is missing, 409 when `sha` is not what the branch has.
    """
    repos.require_push(call)
    message, path = call.text("message"), call.params["path"]
    if not message or not isinstance(call.content, dict) or "content" not in call.content:
        raise invalid("Request", "content", "missing_field")
    branch = call.text("branch", call.repo.default_branch)
    if call.world.git is None:
        files = changed([ChangedFile(path, "modified" if call.has("sha") else "added")])
        commit = call.world.push_commit(call.repo, branch, (message, files), by=call.login, now_s=call.now_s)
        return Content(201, {"content": {"path": path}, "commit": {"sha": commit, "message": message}})
    try:
        data = base64.b64decode(call.text("content"))
    except (binascii.Error, ValueError):
        raise Refusal(422, "content is not valid Base64") from None
    old = yield from _blob_sha(call, branch, path)
    if old and not call.has("sha"):
        raise Refusal(422, 'Invalid request.\n\n"sha" has to be supplied.')
    if call.has("sha") and call.text("sha") != old:
        raise Refusal(409, f"{path} does not match {call.text('sha')}")
    return (yield from _committed(call, branch, (message, path, data), 200 if old else 201))


def delete_file(call: Call) -> Steps[Content]:
    """Delete the file whose blob is `sha` from a branch."""
    repos.require_push(call)
    sha = call.text("sha") or call.query.get("sha", "")
    message = call.text("message") or call.query.get("message", "")
    branch = call.text("branch") or call.query.get("branch") or call.repo.default_branch
    path = call.params["path"]
    if not sha or not message:
        raise invalid("Request", "sha", "missing_field")
    _git(call)
    old = yield from _blob_sha(call, branch, path)
    if not old:
        raise missing()
    if sha != old:
        raise Refusal(409, f"{path} does not match {sha}")
    return (yield from _committed(call, branch, (message, path, None), 200))


def git_tree(call: Call) -> Steps[Content]:
    sha = call.params["sha"]
    git = _git(call)
    if not names.is_sha(sha):
        sha = yield from ground.known(call.world, call.repo, sha)
    found = yield from ask(partial(reading.tree, git, f"{sha}^{{tree}}", recursive="recursive" in call.query))
    if found is None:
        raise missing()
    entries = [_entry(call, one) for one in found[:100_000]]
    return Content(
        200, {"sha": sha, "url": _url(call, "trees", sha), "tree": entries, "truncated": len(found) > 100_000}
    )


def git_blob(call: Call) -> Steps[Content]:
    sha = call.params["sha"]
    data = yield from ask(partial(reading.blob, _git(call), sha))
    if data is None:
        raise missing()
    encoded = base64.encodebytes(data).decode()
    url = _url(call, "blobs", sha)
    return Content(200, {"sha": sha, "size": len(data), "url": url, "encoding": "base64", "content": encoded})


def git_commit(call: Call) -> Steps[Content]:
    if not names.is_sha(call.params["sha"]):
        raise missing()
    sha = yield from ground.known(call.world, call.repo, call.params["sha"])
    record = call.repo.commits[sha]
    parents = [{"sha": parent, "url": _url(call, "commits", parent)} for parent in record.parents]
    return Content(
        200, {"sha": sha, "url": _url(call, "commits", sha)} | shapes.bare_commit(record) | {"parents": parents}
    )


def _git(call: Call) -> Git:
    if call.world.git is None:
        raise missing()
    return ground.git_of(call.world, call.repo)


def _blob_sha(call: Call, branch: str, path: str) -> Steps[str]:
    """Return the blob a branch has at a path; empty when there is none, or no such branch."""
    at = call.repo.refs.get(f"heads/{branch}")
    if at is None or not names.is_path(path):
        return ""
    folder, _, name = path.rpartition("/")
    listed = yield from ask(partial(reading.tree, _git(call), f"{at}:{folder}"))
    return next((one.sha for one in listed or () if one.path == name and one.kind == "blob"), "")


def _committed(call: Call, branch: str, what: tuple[str, str, bytes | None], status: int) -> Steps[Content]:
    message, path, data = what
    change = (message, {path: data})
    sha = yield from landing.commit_files(call.world, call.repo, branch, change, call.login, call.now_s)
    blob = yield from _blob_sha(call, branch, path)
    content = None if data is None else {"name": path.rpartition("/")[2], "path": path, "sha": blob, "size": len(data)}
    shown = {"sha": sha} | shapes.bare_commit(call.repo.commits[sha])
    return Content(status, {"content": content, "commit": shown})


def _content(call: Call, path: str, entry: TreeEntry) -> dict[str, Any]:
    kind = {"tree": "dir", "commit": "submodule"}.get(entry.kind, "symlink" if entry.mode == "120000" else "file")
    url = f"{call.world.address}/repos/{call.repo.full_name}/contents/{quote(path)}"
    name = path.rpartition("/")[2]
    return {"type": kind, "name": name, "path": path, "sha": entry.sha, "size": entry.size_bytes or 0, "url": url}


def _entry(call: Call, entry: TreeEntry) -> dict[str, Any]:
    shape: dict[str, Any] = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
    if entry.size_bytes is not None:
        shape["size"] = entry.size_bytes
    if entry.kind != "commit":
        shape["url"] = _url(call, f"{entry.kind}s", entry.sha)
    return shape


def _url(call: Call, kind: str, sha: str) -> str:
    return f"{call.world.address}/repos/{call.repo.full_name}/git/{kind}/{sha}"


ROUTES = (
    Route("GET", "/repos/{org}/{repo}/commits", commits),
    Route("GET", "/repos/{org}/{repo}/commits/{ref:path}", commit),
    Route("GET", "/repos/{org}/{repo}/compare/{what:path}", compare),
    Route("GET", "/repos/{org}/{repo}/contents", contents),
    Route("GET", "/repos/{org}/{repo}/contents/{path:path}", contents),
    Route("PUT", "/repos/{org}/{repo}/contents/{path:path}", put_file),
    Route("DELETE", "/repos/{org}/{repo}/contents/{path:path}", delete_file),
    Route("GET", "/repos/{org}/{repo}/git/trees/{sha:path}", git_tree),
    Route("GET", "/repos/{org}/{repo}/git/blobs/{sha}", git_blob),
    Route("GET", "/repos/{org}/{repo}/git/commits/{sha}", git_commit),
)
