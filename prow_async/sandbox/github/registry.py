"""The people, organizations and repositories of the small GitHub: making them, finding them, and who may do what."""

import hashlib
from collections.abc import Sequence

from prow_async.ports.clock import Ids
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.limits import Limits, Secondary
from prow_async.sandbox.github.outbox import Outbox
from prow_async.sandbox.github.records import (
    PERMISSIONS,
    Account,
    App,
    Commit,
    IssueRecord,
    Organization,
    Permission,
    Repository,
)
from prow_async.sandbox.github.refusal import invalid, missing

SESSIONS_LIMIT = 1000


class Registry:
    """What `World` stands on. Names are compared without regard to case, as GitHub does.

    Args:
        ids: gives the GUIDs of deliveries.
        address: what links in payloads and answers begin with; the HTTP door sets its own.
        log_limit: so many tried deliveries are remembered.
    """

    def __init__(self, ids: Ids, address: str = "http://github.invalid", log_limit: int = 10_000) -> None:
        self.address = address
        self.outbox = Outbox(ids, log_limit)
        self.limits = Limits()
        self.graphql_limits = Limits(resource="graphql")
        self.secondary: Secondary | None = None
        """Secondary limits; None: none, so that tests and trials may be as quick as they like."""
        self.git: Repositories | None = None
        """The git repositories behind it; None while commits are only told of. Set before the first repository."""
        self.changes = 0
        """Grows with whatever may have changed the world."""
        self.accounts: dict[str, Account] = {}
        self.organizations: dict[str, Organization] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.apps: dict[int, App] = {}
        self._tokens: dict[bytes, str] = {}
        self._expiries: dict[bytes, float] = {}
        self._scopes: dict[bytes, tuple[App, str]] = {}
        self._sessions: dict[bytes, str] = {}
        self._ids = ids
        self._counter = 0

    def next_id(self) -> int:
        self._counter += 1
        return self._counter

    def skip_ids(self, count: int) -> None:
        """Go on numbering after an earlier world's last."""
        self._counter = max(self._counter, count)

    def next_sha(self, repo: Repository, seed: str) -> str:
        """Make a new commit's name: 40 hex digits, the same for the same history."""
        return hashlib.sha1(f"{repo.full_name}\0{self.next_id()}\0{seed}".encode(), usedforsecurity=False).hexdigest()

    def add_user(self, login: str, token: str = "", name: str = "", kind: str = "User") -> Account:
        """Add an account, or give a known one another token. A token is optional: most people only push buttons."""
        account = self.accounts.get(login.lower())
        if account is None:
            account = Account(self.next_id(), login, kind, name)
            self.accounts[login.lower()] = account
        if token:
            self._tokens[_digest(token)] = account.login
        return account

    def add_bot(self, login: str, token: str) -> Account:
        """Add the account an installation acts as; it may write to every repository and see every membership."""
        account = self.add_user(login, token)
        account.everywhere = True
        return account

    def add_org(self, name: str, members: Sequence[str] = (), owners: Sequence[str] = ()) -> Organization:
        """Add an organization, or further members to a known one. Owners are members."""
        org = self.organizations.get(name.lower())
        if org is None:
            account = self.add_user(name, kind="Organization")
            org = self.organizations[name.lower()] = Organization(account)
        for login in (*members, *owners):
            org.members[login.lower()] = self.add_user(login)
        org.owners.update(login.lower() for login in owners)
        return org

    def add_repo(
        self, org: str, name: str, default_branch: str = "main", private: bool = False, now_s: float = 0.0
    ) -> Repository:
        """Add a repository with one commit on its default branch; its owner is made an organization if unknown.

        Raises Refusal (422) when it exists.
        """
        owner = self.add_org(org).account.login
        if (org.lower(), name.lower()) in self.repositories:
            raise invalid("Repository", "name", "custom", "name already exists on this account")
        repo = Repository(self.next_id(), owner, name, default_branch, now_s, private)
        first = Commit(self.next_sha(repo, "first"), "Initial commit", owner, "", now_s)
        repo.commits[first.sha] = first
        repo.refs[f"heads/{default_branch}"] = first.sha
        self.repositories[(org.lower(), name.lower())] = repo
        return repo

    def add_collaborator(self, org: str, repo: str, login: str, permission: Permission = "push") -> None:
        """Let a person in. `permission` is one of pull, triage, push, maintain, admin."""
        if permission not in PERMISSIONS:
            raise invalid("Collaborator", "permission", "invalid")
        self.repo(org, repo).collaborators[self.add_user(login).login.lower()] = permission

    def org(self, name: str) -> Organization:
        """Find an organization. Raises Refusal (404)."""
        try:
            return self.organizations[name.lower()]
        except KeyError:
            raise missing() from None

    def repo(self, org: str, name: str) -> Repository:
        """Find a repository. Raises Refusal (404)."""
        try:
            return self.repositories[(org.lower(), name.lower())]
        except KeyError:
            raise missing() from None

    def account(self, login: str) -> Account:
        """Find an account. Raises Refusal (404)."""
        try:
            return self.accounts[login.lower()]
        except KeyError:
            raise missing() from None

    def add_token(self, login: str, token: str, expires_s: float) -> None:
        """Give an account a token that ends by itself; those that have ended before are forgotten."""
        now_ended = [key for key, at_s in self._expiries.items() if at_s + 3600 < expires_s - 3600]
        for key in now_ended:
            del self._tokens[key], self._expiries[key]
            self._scopes.pop(key, None)
        self._tokens[_digest(token)] = self.account(login).login
        self._expiries[_digest(token)] = expires_s

    def forget_token(self, token: str) -> None:
        """Revoke a token."""
        for known in (self._tokens, self._expiries, self._scopes):
            known.pop(_digest(token), None)

    def bind_token(self, token: str, app: App, org: str) -> None:
        """Let a token be that of an App's installation, good for one (lower-case) organization alone."""
        self._scopes[_digest(token)] = app, org

    def scope_of(self, token: str) -> tuple[App, str] | None:
        """Return whose installation a token is, and the organization; None for a person's token."""
        return self._scopes.get(_digest(token))

    def new_secret(self) -> str:
        """Make something that nobody guesses."""
        return self._ids.uuid4().replace("-", "")

    def login_of(self, token: str, now_s: float) -> str | None:
        """Say whose token this is. Tokens are kept and compared as digests, so timing tells nothing."""
        digest = _digest(token)
        return self._tokens.get(digest) if self._expiries.get(digest, now_s + 1) > now_s else None

    def open_session(self, login: str) -> str:
        """Sign somebody in to the pages; return what their browser has to show from now on."""
        while len(self._sessions) >= SESSIONS_LIMIT:
            del self._sessions[next(iter(self._sessions))]
        secret = self.new_secret()
        self._sessions[_digest(secret)] = login
        return secret

    def session(self, secret: str) -> str | None:
        """Say who has signed in with this."""
        return self._sessions.get(_digest(secret))

    def close_sessions(self, login: str) -> None:
        """Sign somebody out everywhere."""
        self._sessions = {key: one for key, one in self._sessions.items() if one != login}

    def is_member(self, org: str, login: str) -> bool:
        found = self.organizations.get(org.lower())
        return found is not None and login.lower() in found.members

    def permission(self, repo: Repository, login: str) -> Permission | None:
        """Return what a person may do; None for a stranger.

        Members of the organization may at least pull; a person's teams may let them do more.
        """
        account = self.accounts.get(login.lower())
        if account is None:
            return None
        if account.everywhere or login.lower() in self.org(repo.org).owners or repo.org.lower() == login.lower():
            return "admin"
        held = [repo.collaborators.get(login.lower()), "pull" if self.is_member(repo.org, login) else None]
        teams = self.org(repo.org).teams.values()
        held += [team.repos.get(repo.name.lower()) for team in teams if login.lower() in team.members]
        return max((one for one in held if one), key=PERMISSIONS.index, default=None)

    def may_push(self, repo: Repository, login: str) -> bool:
        return self.permission(repo, login) in ("push", "maintain", "admin")

    def may_triage(self, repo: Repository, login: str) -> bool:
        return self.permission(repo, login) in ("triage", "push", "maintain", "admin")

    def blocked_by(self, repo: Repository, record: IssueRecord) -> str:
        """Say what keeps a pull request from being merged, conflicts aside; what reviews know is added above."""
        return ""

    def commit_of(self, repo: Repository, ref: str) -> str:
        """Resolve a commit, branch, tag or full ref to a commit. Raises Refusal (404)."""
        if ref in repo.commits:
            return ref
        for candidate in (ref.removeprefix("refs/"), f"heads/{ref}", f"tags/{ref}"):
            if candidate in repo.refs:
                return repo.refs[candidate]
        raise missing()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
