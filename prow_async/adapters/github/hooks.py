"""Webhooks, their delivery logs, and where a GitHub App is installed."""

from typing import Any

import msgspec

from prow_async.adapters.github import paths
from prow_async.adapters.github.requests import Requests
from prow_async.api.errors import Missing
from prow_async.api.github import Hook, HookDeliveries, HookDelivery, HookDeliveryWhole, HookOf, HookWanted, User
from prow_async.ports import cause as causes


class _Installation(msgspec.Struct):
    account: User = User()
    suspended_at: str = ""


class Hooks:
    """Implements ports/github `DeliveryLog`, `HookAdmin` and `Apps`."""

    _requests: Requests

    async def hooks(self, org: str, repo: str = "") -> tuple[Hook, ...]:
        return tuple(await self._requests.items(paths.make(*paths.owner(org, repo), "hooks"), Hook))

    async def hook_deliveries(self, hook: HookOf, cursor: str = "") -> HookDeliveries:
        query = {"per_page": "100"} | ({"cursor": cursor} if cursor else {})
        with causes.unhurried():
            found, following = await self._requests.page(log_of(hook), query, HookDelivery)
        return HookDeliveries(tuple(found), following.get("cursor", ""))

    async def hook_delivery(self, hook: HookOf, delivery_id: int) -> HookDeliveryWhole:
        with causes.unhurried():
            return await self._requests.item(f"{log_of(hook)}/{delivery_id}", HookDeliveryWhole)

    async def create_hook(self, org: str, repo: str, wanted: HookWanted) -> None:
        content = {"name": "web", **_content(wanted)}
        await self._requests.write("POST", paths.make(*paths.owner(org, repo), "hooks"), content, tells_secret=True)

    async def edit_hook(self, hook: HookOf, wanted: HookWanted) -> None:
        path = paths.make(*paths.owner(hook.org, hook.repo), "hooks", hook.id)
        await self._requests.write("PATCH", path, _content(wanted), tells_secret=True)

    async def delete_hook(self, hook: HookOf) -> None:
        try:
            await self._requests.write("DELETE", paths.make(*paths.owner(hook.org, hook.repo), "hooks", hook.id))
        except Missing:
            return

    async def app_installations(self) -> tuple[str, ...]:
        found = await self._requests.items("/app/installations", _Installation)
        return tuple(one.account.login for one in found if not one.suspended_at)


def _content(wanted: HookWanted) -> dict[str, Any]:
    config = {"url": wanted.url, "content_type": "json", "secret": wanted.secret}
    return {"active": True, "events": list(wanted.events), "config": config}


def log_of(hook: HookOf) -> str:
    """Return where a webhook's deliveries are listed."""
    if not hook.org:
        return paths.make("app", "hook", "deliveries")
    return paths.make(*paths.owner(hook.org, hook.repo), "hooks", hook.id, "deliveries")
