"""Who is who at GitHub: ourselves, members, collaborators, teams."""

import msgspec

from prow_async.adapters.github import paths
from prow_async.adapters.github.requests import Requests
from prow_async.api.errors import Missing
from prow_async.api.github import Membership, Team, User
from prow_async.ports.metrics import Metrics


class _App(msgspec.Struct):
    slug: str


class People:
    """Implements ports/github `Trust`."""

    def __init__(self, requests: Requests, metrics: Metrics) -> None:
        self._requests = requests
        self._metrics = metrics
        self._bot: User | None = None

    def report(self) -> None:
        """Set the gauges that change with the time alone."""
        self._requests.report()

    async def bot_user(self) -> User:
        if self._bot is None:
            self._bot = await self._ourselves()
            token_hash = await self._requests.who("/app" if self._requests.is_app else "/user")
            labels = {"login": self._bot.login.removesuffix("[bot]"), "email": self._bot.email or ""}
            self._metrics.gauge("github_user_info", 1, token_hash=token_hash, **labels)
        return self._bot

    async def _ourselves(self) -> User:
        if not self._requests.is_app:
            return await self._requests.item("/user", User)
        slug = (await self._requests.item("/app", _App)).slug
        return User(f"{slug}[bot]", type="Bot", name=slug, email=f"{slug}@users.noreply.github.com")

    async def is_member(self, org: str, login: str) -> bool:
        """Ask whether `login` is a member; a membership we may not see counts as none."""
        if org.lower() == login.lower():
            return True
        return await self._requests.exists(paths.make("orgs", org, "members", login))

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool:
        return await self._requests.exists(paths.make("repos", org, repo, "collaborators", login))

    async def is_team_member(self, org: str, slug: str, login: str) -> bool:
        """One who is invited and has not accepted yet is no member."""
        path = paths.make("orgs", org, "teams", slug, "memberships", login)
        try:
            return (await self._requests.item(path, Membership, question=True)).state == "active"
        except Missing:
            return False

    async def teams(self, org: str) -> tuple[Team, ...]:
        return tuple(await self._requests.items(paths.make("orgs", org, "teams"), Team))
