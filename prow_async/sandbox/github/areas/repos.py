"""Repositories, branches, refs."""

from prow_async.sandbox.github import forks, landing, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.git.names import is_name
from prow_async.sandbox.github.records import SETTINGS, Repository
from prow_async.sandbox.github.refusal import Refusal, forbidden, invalid, missing
from prow_async.sandbox.github.steps import Steps


def one_repo(call: Call) -> Content:
    return Content(200, shapes.repository(call.world, call.repo))


def repos_of_org(call: Call) -> Content:
    call.world.org(call.org)
    own = [
        repo
        for repo in call.world.repositories.values()
        if repo.org.lower() == call.org.lower()
        and (not repo.private or call.world.permission(repo, call.login) is not None)
    ]
    return call.page(own, lambda repo: shapes.repository(call.world, repo))


def repos_of_user(call: Call) -> Content:
    login = call.world.account(call.params["login"]).login
    own = [repo for repo in call.world.repositories.values() if repo.org.lower() == login.lower()]
    return call.page([r for r in own if not r.private], lambda repo: shapes.repository(call.world, repo))


def create_repo(call: Call) -> Steps[Content]:
    """Make a repository of the asker, or of an organization they own, with one commit."""
    org = call.params.get("org", call.login)
    account = call.world.account(call.login)
    if org != call.login and not account.everywhere and call.login.lower() not in call.world.org(org).owners:
        raise forbidden("You need admin access to the organization before adding a repository to it.")
    name = call.text("name")
    if not is_name(name):
        raise invalid("Repository", "name", "invalid" if name else "missing_field")
    content = call.content if isinstance(call.content, dict) else {}
    private, settings = content.get("private") is True, _settings(content)
    repo = yield from landing.make_repo(call.world, (org, name), private=private, now_s=call.now_s)
    repo.settings.update(settings)
    return Content(201, shapes.repository(call.world, repo))


def fork(call: Call) -> Steps[Content]:
    """Fork a repository for the asker: at once, where GitHub takes a moment."""
    made = yield from forks.make(call.world, call.repo, call.login, call.now_s)
    return Content(202, shapes.repository(call.world, made))


def forks_of(call: Call) -> Content:
    found = [repo for repo in call.world.repositories.values() if repo.fork_of == call.repo.full_name]
    return call.page(found, lambda repo: shapes.repository(call.world, repo))


def change_repo(call: Call) -> Content:
    """Set what a repository is like. Renaming is not done here (422)."""
    repo = call.repo
    if call.world.permission(repo, call.login) != "admin":
        raise forbidden()
    content = call.content if isinstance(call.content, dict) else {}
    if content.get("name", repo.name) != repo.name:
        raise invalid("Repository", "name", "custom", "The small GitHub does not rename repositories.")
    branch = call.text("default_branch", repo.default_branch)
    if f"heads/{branch}" not in repo.refs:
        raise invalid("Repository", "default_branch", "invalid")
    repo.settings.update(_settings(content))
    repo.default_branch = branch
    repo.private = content.get("private", repo.private) is True
    return one_repo(call)


def _settings(content: shapes.Json) -> shapes.Json:
    """Pick what is set of SETTINGS. Raises Refusal (422) for a value of the wrong kind."""
    found = {key: content[key] for key in SETTINGS if key in content}
    for key, value in found.items():
        if not isinstance(value, bool if isinstance(SETTINGS[key], bool) else str | None):
            raise invalid("Repository", key, "invalid")
    return found


def tags(call: Call) -> Content:
    names = sorted((ref.removeprefix("tags/") for ref in call.repo.refs if ref.startswith("tags/")), reverse=True)
    return call.page(names, lambda name: {"name": name, "commit": {"sha": call.repo.refs[f"tags/{name}"]}})


def branches(call: Call) -> Content:
    """List branches; `protected` tells which."""
    names = sorted(ref.removeprefix("heads/") for ref in call.repo.refs if ref.startswith("heads/"))
    wanted = call.query.get("protected", "")
    if wanted:
        names = [name for name in names if (name in call.repo.protections) == (wanted == "true")]
    return call.page(names, lambda name: _branch(call.repo, name))


def branch(call: Call) -> Content:
    if f"heads/{call.params['branch']}" not in call.repo.refs:
        raise Refusal(404, "Branch not found")
    return Content(200, _branch(call.repo, call.params["branch"]))


def ref(call: Call) -> Content:
    """Read exactly one ref."""
    if call.params["ref"] not in call.repo.refs:
        raise missing()
    return Content(200, shapes.git_ref(call.world, call.repo, call.params["ref"]))


def ref_or_prefix(call: Call) -> Content:
    """Read one ref, or as GitHub's older form does, a list of those that begin so."""
    if call.params["ref"] in call.repo.refs:
        return ref(call)
    found = _beginning(call)
    if not found:
        raise missing()
    return call.page(found, lambda name: shapes.git_ref(call.world, call.repo, name))


def matching_refs(call: Call) -> Content:
    return call.page(_beginning(call), lambda name: shapes.git_ref(call.world, call.repo, name))


def create_ref(call: Call) -> Content | Steps[Content]:
    require_push(call)
    name = call.text("ref")
    if not name.startswith("refs/") or name.count("/") < 2:
        raise Refusal(422, "Reference name must start with 'refs/' and have at least two slashes.")
    if name.removeprefix("refs/") in call.repo.refs:
        raise Refusal(422, "Reference already exists")
    return _set_ref(call, name.removeprefix("refs/"), 201)


def update_ref(call: Call) -> Content | Steps[Content]:
    require_push(call)
    if call.params["ref"] not in call.repo.refs:
        raise Refusal(422, "Reference does not exist")
    return _set_ref(call, call.params["ref"], 200)


def delete_ref(call: Call) -> Steps[Content]:
    require_push(call)
    move = (call.params["ref"], "")
    yield from landing.set_ref(call.world, call.repo, move, by=call.login, now_s=call.now_s, force=True)
    return Content(204)


def _set_ref(call: Call, name: str, status: int) -> Steps[Content]:
    if not call.text("sha"):
        raise Refusal(422, "Object does not exist")
    force = isinstance(call.content, dict) and call.content.get("force") is True
    move = (name, call.text("sha"))
    yield from landing.set_ref(call.world, call.repo, move, by=call.login, now_s=call.now_s, force=force)
    return Content(status, shapes.git_ref(call.world, call.repo, name))


def require_push(call: Call) -> None:
    """Refuse (403) whoever may not push."""
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()


def _beginning(call: Call) -> list[str]:
    return sorted(name for name in call.repo.refs if name.startswith(call.params["ref"]))


def _branch(repo: Repository, name: str) -> shapes.Json:
    return {"name": name, "commit": {"sha": repo.refs[f"heads/{name}"]}, "protected": name in repo.protections}


ROUTES = (
    Route("GET", "/repos/{org}/{repo}", one_repo),
    Route("PATCH", "/repos/{org}/{repo}", change_repo),
    Route("GET", "/orgs/{org}/repos", repos_of_org),
    Route("POST", "/orgs/{org}/repos", create_repo),
    Route("POST", "/user/repos", create_repo),
    Route("GET", "/users/{login}/repos", repos_of_user),
    Route("GET", "/repos/{org}/{repo}/tags", tags),
    Route("GET", "/repos/{org}/{repo}/forks", forks_of),
    Route("POST", "/repos/{org}/{repo}/forks", fork),
    Route("GET", "/repos/{org}/{repo}/branches", branches),
    Route("GET", "/repos/{org}/{repo}/branches/{branch:path}", branch),
    Route("GET", "/repos/{org}/{repo}/git/ref/{ref:path}", ref),
    Route("GET", "/repos/{org}/{repo}/git/refs/{ref:path}", ref_or_prefix),
    Route("GET", "/repos/{org}/{repo}/git/matching-refs/{ref:path}", matching_refs),
    Route("POST", "/repos/{org}/{repo}/git/refs", create_ref),
    Route("PATCH", "/repos/{org}/{repo}/git/refs/{ref:path}", update_ref),
    Route("DELETE", "/repos/{org}/{repo}/git/refs/{ref:path}", delete_ref),
)
