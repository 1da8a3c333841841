"""Who may start jobs.

Names are judged without asking anybody; only then is GitHub asked, and only as far as needed. An answer that was
not asked for is None and counts as no.

Source: upstream pkg/plugins/trigger/trigger.go TrustedUser, TrustedPullRequest.
"""

from collections.abc import Iterable

import msgspec

from prow_async.api.plugin_config import Trigger
from prow_async.core import replies

OK_TO_TEST = "ok-to-test"
NEEDS_OK_TO_TEST = "needs-ok-to-test"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What GitHub says about one person and one repository."""

    login: str
    bot_login: str
    org: str
    repo: str
    member: bool | None = None
    """Of the repository's org; true too where the org is the person's own account."""
    collaborator: bool | None = None
    trusted_org_member: bool | None = None


class Verdict(msgspec.Struct, frozen=True):
    """Whether trusted, and why, as a clause about the person or the pull request."""

    trusted: bool
    why: str


def by_name(login: str, bot_login: str, rules: Trigger) -> Verdict | None:
    """Judge by the name alone; None when GitHub has to be asked."""
    if not login:  # GitHub names nobody where an account is gone
        return Verdict(False, "the account is gone")
    if replies.wrote(login, bot_login):
        return Verdict(True, f"{login} is this bot itself")
    if login.endswith("[bot]") and login.removesuffix("[bot]") in rules.trusted_apps:
        return Verdict(True, f"{login} is a trusted app")
    return None


def asks_trusted_org(org: str, rules: Trigger) -> bool:
    """True when membership of a second org counts."""
    return bool(rules.trusted_org) and rules.trusted_org != org


def judge_user(facts: Facts, rules: Trigger) -> Verdict:
    """Judge a person. The first rule that holds decides."""
    named = by_name(facts.login, facts.bot_login, rules)
    if named is not None:
        return named
    if facts.member:
        return Verdict(True, f"{facts.login} is a member of {facts.org}")
    if facts.collaborator and not rules.only_org_members:
        return Verdict(True, f"{facts.login} is a collaborator of {facts.org}/{facts.repo}")
    if facts.trusted_org_member and asks_trusted_org(facts.org, rules):
        return Verdict(True, f"{facts.login} is a member of {rules.trusted_org}")
    lacks = [f"not a member of {facts.org}"]
    if not rules.only_org_members:
        lacks.append(f"not a collaborator of {facts.org}/{facts.repo}")
    if asks_trusted_org(facts.org, rules):
        lacks.append(f"not a member of {rules.trusted_org}")
    return Verdict(False, f"{facts.login} is {', '.join(lacks)}")


def judge_pull(author: Verdict, labels: Iterable[str]) -> Verdict:
    """Judge a pull request: by its author, else by the ok-to-test label."""
    if author.trusted:
        return author
    if has_label(labels, OK_TO_TEST):
        return Verdict(True, f"the pull request carries {OK_TO_TEST}")
    return Verdict(False, f"{author.why}, and the pull request does not carry {OK_TO_TEST}")


def has_label(labels: Iterable[str], wanted: str) -> bool:
    """True when the label is there, however it is capitalised."""
    return any(label.casefold() == wanted.casefold() for label in labels)
