"""Webhooks and what was sent to them, with a button that sends it again: for those who administer the target."""

import msgspec

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.outbox import Delivery
from prow_async.sandbox.github.pages import html
from prow_async.sandbox.github.records import Hook
from prow_async.sandbox.github.refusal import Refusal, missing

LISTED = 200
BODY_LIMIT = 256 * 1024
"""So many characters of a payload are shown."""


def hooks(call: Call) -> Content:
    found = call.repo.hooks if _repo_name(call) else call.world.org(call.org).hooks
    _administered(call)
    rows = [(html.link(f"{_here(call)}/{hook.id}", hook.url), ", ".join(hook.events)) for hook in found]
    return html.page(
        "Webhooks", call.login, html.tag("h1", f"Webhooks of {_target(call)}"), html.table(["URL", "Events"], rows)
    )


def deliveries(call: Call) -> Content:
    """Show the log of one webhook, newest first, those that wait before them."""
    hook = _hook(call)
    outbox = call.world.outbox
    waiting = [one for one in outbox.waiting() if one.hook.id == hook.id]
    found = [*reversed(waiting), *reversed(outbox.log(hook.id))][:LISTED]
    rows = [
        (
            html.link(f"{_here(call)}/{hook.id}/{one.id}", one.guid),
            f"{one.event} {one.action}".strip(),
            shapes.instant(one.queued_s) or "",
            "again" if one.redelivery else "",
            _outcome(one),
        )
        for one in found
    ]
    head = html.tag("h1", f"Deliveries to {hook.url}")
    back = html.tag("p", html.link(_here(call), f"Webhooks of {_target(call)}"))
    return html.page("Deliveries", call.login, head, back, html.table(["GUID", "Event", "Queued", "", "Outcome"], rows))


def one(call: Call) -> Content:
    """Show one delivery: what was sent and what came back."""
    hook, found = _hook(call), _delivery(call)
    headers = "\n".join(f"{name}: {value}" for name, value in found.headers().items())
    again = html.form(f"{_here(call)}/{hook.id}/{found.id}/redeliver", button="Redeliver") if found.outcome else ""
    return html.page(
        f"Delivery {found.guid}",
        call.login,
        html.tag("h1", f"{found.event} {found.action}".strip()),
        html.tag("p", html.link(f"{_here(call)}/{hook.id}", f"Deliveries to {hook.url}")),
        html.tag("p", f"{found.guid}: {_outcome(found)}"),
        again,
        html.tag("h2", "Headers"),
        html.tag("pre", headers),
        html.tag("h2", "Payload"),
        html.tag("pre", msgspec.json.format(found.body, indent=2).decode(errors="replace")[:BODY_LIMIT]),
    )


def redeliver(call: Call) -> Content:
    """Send it again under its old GUID; the log shows how that went."""
    hook = _hook(call)
    call.world.redeliver(_delivery(call).guid, call.now_s)
    return html.go(f"{_here(call)}/{hook.id}")


def _outcome(delivery: Delivery) -> str:
    outcome = delivery.outcome
    if outcome is None:
        return "waiting"
    return str(outcome.status) if outcome.status else outcome.error


def _delivery(call: Call) -> Delivery:
    wanted, outbox = int(call.params["delivery_id"]), call.world.outbox
    for found in [*outbox.log(_hook(call).id), *outbox.waiting()]:
        if found.id == wanted and found.hook.id == int(call.params["hook_id"]):
            return found
    raise missing()


def _administered(call: Call) -> None:
    if not call.login:
        raise Refusal(401, "Sign in to see webhooks.")
    world = call.world
    if _repo_name(call):
        allowed = world.permission(call.repo, call.login) == "admin"
    else:
        allowed = call.login.lower() in world.org(call.org).owners or world.account(call.login).everywhere
    if not allowed:
        raise missing()


def _hook(call: Call) -> Hook:
    _administered(call)
    return call.world.hook(call.org, _repo_name(call), int(call.params["hook_id"]))


def _repo_name(call: Call) -> str:
    return call.params.get("repo", "")


def _target(call: Call) -> str:
    return f"{call.org}/{_repo_name(call)}" if _repo_name(call) else call.org


def _here(call: Call) -> str:
    if _repo_name(call):
        return html.path(call.org, _repo_name(call), "settings", "hooks")
    return html.path("organizations", call.org, "settings", "hooks")


def _routes(where: str) -> tuple[Route, ...]:
    one_delivery = where + "/{hook_id:int}/{delivery_id:int}"
    return (
        Route("GET", where, hooks),
        Route("GET", where + "/{hook_id:int}", deliveries),
        Route("GET", one_delivery, one),
        Route("POST", one_delivery + "/redeliver", redeliver),
    )


ROUTES = (*_routes("/organizations/{org}/settings/hooks"), *_routes("/{org}/{repo}/settings/hooks"))
