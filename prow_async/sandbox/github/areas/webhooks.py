"""Webhooks of repositories, organizations and Apps, and their deliveries."""

from typing import Any

import msgspec

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Handler, Route
from prow_async.sandbox.github.outbox import Delivery
from prow_async.sandbox.github.records import Hook
from prow_async.sandbox.github.refusal import invalid, missing
from prow_async.sandbox.github.steps import Steps


class _Numbered(msgspec.Struct, frozen=True):
    id: int


class _About(msgspec.Struct, frozen=True):
    """What a payload was about, as the log lists it."""

    installation: _Numbered | None = None
    repository: _Numbered | None = None


def listed(call: Call) -> Content:
    hooks = call.repo.hooks if _repo_name(call) else call.world.org(call.org).hooks
    return call.page(hooks, lambda hook: shapes.hook(call.world, hook))


def create(call: Call) -> Content:
    config = call.content.get("config") if isinstance(call.content, dict) else None
    url, secret = (config.get("url"), config.get("secret", "")) if isinstance(config, dict) else (None, "")
    url = _checked_url(url)
    if not isinstance(secret, str):
        raise invalid("Hook", "secret", "invalid")
    events = call.texts("events") if call.has("events") else ["push"]
    hook = call.world.add_hook(call.org, _repo_name(call), url, secret.encode(), events, now_s=call.now_s)
    return Content(201, shapes.hook(call.world, hook))


def remove(call: Call) -> Content:
    call.world.remove_hook(call.org, _repo_name(call), _hook(call).id)
    return Content(204)


def deliveries(call: Call) -> Content:
    """List what has been sent to a hook, newest first."""
    return call.newest(call.world.outbox.log(_hook(call).id), lambda one: one.id, _delivery)


def one_delivery(call: Call) -> Content:
    """Show one delivery whole: what was sent and what came back."""
    found = _found_delivery(call)
    outcome = found.outcome
    shape = _delivery(found) | {
        "url": found.hook.url,
        "request": {"headers": found.headers(), "payload": msgspec.json.decode(found.body)},
        "response": {"headers": {}, "payload": outcome.error if outcome else ""},
    }
    return Content(200, shape)


def redeliver(call: Call) -> Content:
    """Send a delivery again, under its old GUID."""
    call.world.redeliver(_found_delivery(call).guid, call.now_s)
    return Content(202, {})


def config_of_app(call: Call) -> Content:
    """Show where an App's webhook leads."""
    return Content(200, shapes.hook(call.world, _hook(call))["config"])


def one_hook(call: Call) -> Content:
    return Content(200, shapes.hook(call.world, _hook(call)))


def change(call: Call) -> Content:
    """Change `active`, `events` or `config` of a hook."""
    hook = _hook(call)
    content = call.content if isinstance(call.content, dict) else {}
    config = content.get("config", {})
    if not isinstance(config, dict) or not isinstance(content.get("active", True), bool):
        raise invalid("Hook", "config", "invalid")
    if "url" in config:
        hook.url = _checked_url(config["url"])
    if isinstance(config.get("secret"), str):
        hook.secret = config["secret"].encode()
    hook.events = tuple(call.texts("events")) if call.has("events") else hook.events
    hook.active = content.get("active", hook.active)
    return one_hook(call)


def ping(call: Call) -> Content:
    call.world.ping(_hook(call), call.now_s)
    return Content(204)


def _found_delivery(call: Call) -> Delivery:
    wanted = int(call.params["delivery_id"])
    for delivery in call.world.outbox.log(_hook(call).id):
        if delivery.id == wanted:
            return delivery
    raise missing()


def _checked_url(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise invalid("Hook", "url", "custom", "url is not a valid URL")
    return url


def _guarded(handler: Handler) -> Handler:
    """Let only those who administer the repository or organization through; others are told it is not there."""

    def guarded(call: Call) -> Content | Steps[Content]:
        name = _repo_name(call)
        if "org" not in call.params:
            allowed = call.app is not None
        elif name:
            allowed = call.world.permission(call.repo, call.login) == "admin"
        else:
            owners = call.world.org(call.org).owners
            allowed = call.login.lower() in owners or call.world.account(call.login).everywhere
        if not allowed:
            raise missing()
        return handler(call)

    return guarded


def _repo_name(call: Call) -> str:
    return call.params.get("repo", "")


def _hook(call: Call) -> Hook:
    if call.app is not None:
        if call.app.hook is None:
            raise missing()
        return call.app.hook
    return call.world.hook(call.org, _repo_name(call), int(call.params["hook_id"]))


def _delivery(delivery: Delivery) -> dict[str, Any]:
    outcome, about = delivery.outcome, msgspec.json.decode(delivery.body, type=_About)
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": shapes.instant(outcome.at_s) if outcome else None,
        "redelivery": delivery.redelivery,
        "event": delivery.event,
        "action": delivery.action or None,
        "installation_id": about.installation and about.installation.id,
        "repository_id": about.repository and about.repository.id,
        "status_code": outcome.status if outcome else 0,
        "status": ("OK" if outcome.ok else outcome.error or "Invalid HTTP Response") if outcome else "",
    }


def _log_routes(hook: str) -> tuple[Route, ...]:
    one = hook + "/deliveries/{delivery_id:int}"
    return (
        Route("GET", one, _guarded(one_delivery)),
        Route("GET", hook + "/deliveries", _guarded(deliveries)),
        Route("POST", one + "/attempts", _guarded(redeliver)),
    )


def _routes(owner: str) -> tuple[Route, ...]:
    one = owner + "/hooks/{hook_id:int}"
    return (
        Route("GET", owner + "/hooks", _guarded(listed)),
        Route("POST", owner + "/hooks", _guarded(create)),
        Route("GET", one, _guarded(one_hook)),
        Route("PATCH", one, _guarded(change)),
        Route("DELETE", one, _guarded(remove)),
        Route("POST", one + "/pings", _guarded(ping)),
        *_log_routes(one),
    )


ROUTES = (
    *_routes("/repos/{org}/{repo}"),
    *_routes("/orgs/{org}"),
    Route("GET", "/app/hook/config", _guarded(config_of_app)),
    *_log_routes("/app/hook"),
)
