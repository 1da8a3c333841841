"""Teams of organizations, and who is in them."""

import re
from collections.abc import Sequence

from prow_async.sandbox.github.records import PERMISSIONS, Permission, Team
from prow_async.sandbox.github.refusal import invalid, missing
from prow_async.sandbox.github.registry import Registry


class Teams(Registry):
    """Changes to teams and memberships. The small GitHub tells no hook of them."""

    def add_team(self, org: str, name: str, members: Sequence[str] = (), *, parent: str = "") -> Team:
        """Make a team, with `parent` below another's slug. Raises Refusal (422) when it is there."""
        owner = self.org(org)
        slug = slug_of(name)
        if not slug:
            raise invalid("Team", "name", "missing_field")
        if slug in owner.teams:
            raise invalid("Team", "name", "already_exists", "Name must be unique for this org")
        if parent and parent not in owner.teams:
            raise invalid("Team", "parent_team_id", "invalid")
        made = owner.teams[slug] = Team(self.next_id(), name, slug, parent=parent)
        for login in members:
            self.join_team(org, slug, login)
        return made

    def team(self, org: str, slug: str) -> Team:
        """Find a team by its slug. Raises Refusal (404)."""
        try:
            return self.org(org).teams[slug.lower()]
        except KeyError:
            raise missing() from None

    def join_team(self, org: str, slug: str, login: str, role: str = "member") -> None:
        """Put a person into a team, and so into the organization. Raises Refusal (404, 422)."""
        if role not in ("member", "maintainer"):
            raise invalid("TeamMember", "role", "invalid")
        team = self.team(org, slug)
        self.add_org(org, members=[login])
        team.members[login.lower()] = role

    def leave_team(self, org: str, slug: str, login: str) -> None:
        """Take a person out of a team. Raises Refusal (404) when they are not in it."""
        if self.team(org, slug).members.pop(login.lower(), None) is None:
            raise missing()

    def delete_team(self, org: str, slug: str) -> None:
        """Delete a team; those below it move up. Raises Refusal (404)."""
        gone = self.team(org, slug)
        teams = self.org(org).teams
        del teams[gone.slug]
        for team in teams.values():
            if team.parent == gone.slug:
                team.parent = gone.parent

    def give_team(self, org: str, slug: str, repo: str, permission: Permission = "push") -> None:
        """Let a team into a repository. Raises Refusal (404, 422)."""
        if permission not in PERMISSIONS:
            raise invalid("Team", "permission", "invalid")
        self.team(org, slug).repos[self.repo(org, repo).name.lower()] = permission

    def remove_member(self, org: str, login: str) -> None:
        """Take a person out of an organization and its teams. Raises Refusal (404)."""
        owner = self.org(org)
        if owner.members.pop(login.lower(), None) is None:
            raise missing()
        owner.owners.discard(login.lower())
        for team in owner.teams.values():
            team.members.pop(login.lower(), None)


def slug_of(name: str) -> str:
    """Make a slug of a name: lower-case words joined by dashes."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")
