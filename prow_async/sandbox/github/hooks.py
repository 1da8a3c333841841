"""Who is told about what: webhooks of repositories and organizations."""

from collections.abc import Callable, Sequence

from prow_async.sandbox.github import payloads
from prow_async.sandbox.github.records import App, Hook, Repository
from prow_async.sandbox.github.refusal import missing
from prow_async.sandbox.github.shapes import Json
from prow_async.sandbox.github.teams import Teams


class Hooks(Teams):
    """A registry whose changes are told to the hooks that asked for them."""

    def add_hook(
        self, org: str, repo: str, url: str, secret: bytes, events: Sequence[str] = ("*",), *, now_s: float = 0.0
    ) -> Hook:
        """Register a webhook on a repository, or with an empty `repo` on the whole organization.

        As on GitHub it is sent a `ping` at once.
        """
        owner = self.org(org)
        if repo:
            target = self.repo(org, repo)
            hook = Hook(self.next_id(), target.org, target.name, target.id, url, secret, tuple(events))
            target.hooks.append(hook)
        else:
            account = owner.account
            hook = Hook(self.next_id(), account.login, "", account.id, url, secret, tuple(events))
            owner.hooks.append(hook)
        self.ping(hook, now_s)
        return hook

    def own_hook(self, org: str, url: str, secret: bytes, *, now_s: float) -> Hook:
        """Register the webhook of the Prow beside this GitHub, in place of the one an earlier run has left."""
        for hook in self.org(org).hooks:
            if hook.own:
                hook.url, hook.secret = url, secret
                self.ping(hook, now_s)
                return hook
        hook = self.add_hook(org, "", url, secret, now_s=now_s)
        hook.own = True
        return hook

    def add_app_hook(self, app: App, url: str, secret: bytes, events: Sequence[str] = ("*",), *, now_s: float) -> Hook:
        """Give an App its webhook, which hears of all organizations that have the App. It is sent a `ping` at once."""
        app.hook = Hook(self.next_id(), "", "", app.id, url, secret, tuple(events))
        self.ping(app.hook, now_s)
        return app.hook

    def hook(self, org: str, repo: str, hook_id: int) -> Hook:
        """Find a hook of a repository, or with an empty `repo` of an organization. Raises Refusal (404)."""
        hooks = self.repo(org, repo).hooks if repo else self.org(org).hooks
        for hook in hooks:
            if hook.id == hook_id:
                return hook
        raise missing()

    def remove_hook(self, org: str, repo: str, hook_id: int) -> None:
        """Unregister; what is queued is still sent."""
        hook = self.hook(org, repo, hook_id)
        (self.repo(org, repo).hooks if repo else self.org(org).hooks).remove(hook)

    def redeliver(self, guid: str, now_s: float) -> None:
        """Send a delivery of the log once more, under its old GUID. Raises Refusal (404)."""
        self.outbox.redeliver(guid, now_s)

    def ping(self, hook: Hook, now_s: float) -> None:
        """Send a hook a `ping`."""
        self.outbox.add(hook, "ping", "", payloads.encode(payloads.ping(self, hook)), now_s)

    def tell(self, repo: Repository, event: str, render: Callable[[], Json], now_s: float) -> None:
        """Queue an event for every hook that listens; it is rendered once, as things stand now."""
        self.changes += 1
        hooks: list[tuple[Hook, int]] = [(hook, 0) for hook in (*repo.hooks, *self.org(repo.org).hooks)]
        installed = [(app.hook, app.installations.get(repo.org.lower())) for app in self.apps.values()]
        hooks += [(hook, number) for hook, number in installed if hook is not None and number is not None]
        listening = [(h, number) for h, number in hooks if h.active and (event in h.events or "*" in h.events)]
        if not listening:
            return
        payload = render()
        body = payloads.encode(payload)
        for hook, installation in listening:
            sent = payloads.encode(payload | {"installation": {"id": installation}}) if installation else body
            self.outbox.add(hook, event, str(payload.get("action", "")), sent, now_s)
