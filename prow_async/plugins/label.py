"""label: sets and removes labels of the usual categories, and others that the configuration names.

Source: upstream pkg/plugins/label.
"""

from collections.abc import Iterable, Sequence

import msgspec

from prow_async.api import plugin_labels
from prow_async.api.actions import Action, Decision
from prow_async.api.github import GenericComment, PullRequestEvent
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import label_commands, place, trust
from prow_async.core.label_commands import Asked
from prow_async.ports.plugin import Command, Event, Help, Plugin, Reads

TRIAGE_ACCEPTED = "triage/accepted"
_NEEDED = ("kind", "priority", "sig", "triage")
"""Categories an item shall have a label of: when the last one goes, `needs-...` comes."""
_SHOWN = 20
_LONGEST = 60
"""So much of a name is shown; GitHub takes labels of up to 50 characters."""


class CommentFacts(msgspec.Struct, frozen=True, kw_only=True):
    comment: GenericComment
    settings: plugin_labels.Label
    labels: tuple[str, ...]
    """On the issue or pull request."""
    repo_labels: tuple[str, ...]
    member: bool = False
    """Whether the commenter is of the organization; read only for labels that ask for it."""
    may_set: frozenset[str] = frozenset()
    """Of the restricted labels asked for, those the commenter may set; in lower case."""


class LabeledFacts(msgspec.Struct, frozen=True):
    event: PullRequestEvent
    settings: plugin_labels.Label


Facts = CommentFacts | LabeledFacts


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    settings = reads.snapshot.plugins.label
    if isinstance(event, PullRequestEvent):
        return LabeledFacts(event, settings) if event.action == "labeled" else None
    if not isinstance(event, GenericComment) or event.action != "created":
        return None
    asked = label_commands.parse(event.body)
    if not asked.anything:
        return None
    where = place.of(event.repo, event.number)
    facts = CommentFacts(
        comment=event,
        settings=settings,
        labels=await reads.github.labels(where.org, where.repo, where.number),
        repo_labels=await reads.github.repo_labels(where.org, where.repo),
    )
    if TRIAGE_ACCEPTED in (*asked.add, *asked.add_named) and not trust.has_label(facts.labels, TRIAGE_ACCEPTED):
        member = await reads.github.is_member(where.org, event.user.login)
        facts = msgspec.structs.replace(facts, member=member)
    return msgspec.structs.replace(facts, may_set=await _may_set(reads, facts, asked))


async def _may_set(reads: Reads, facts: CommentFacts, asked: Asked) -> frozenset[str]:
    where, login = place.of(facts.comment.repo, facts.comment.number), facts.comment.user.login
    restricted = facts.settings.restricted_for(where.org, where.repo)
    found = set()
    for label in _every(asked):
        rule = restricted.get(label)
        if rule is None:
            continue
        if login.lower() in {user.lower() for user in rule.allowed_users}:
            found.add(label)
            continue
        for slug in rule.allowed_teams:
            if await reads.github.is_team_member(where.org, slug, login):
                found.add(label)
                break
    return frozenset(found)


def _every(asked: Asked) -> Iterable[str]:
    return dict.fromkeys((*asked.add, *asked.add_named, *asked.remove, *asked.remove_named))


def decide(facts: Facts) -> Decision:
    match facts:
        case LabeledFacts():
            return _assign(facts)
        case CommentFacts():
            return _Answering(facts).decision()


def _assign(facts: LabeledFacts) -> Decision:
    """Assign whoever may set a restricted label, when the label comes that asks for them."""
    event = facts.event
    where, label = place.of(event.repository, event.number), (event.label.name if event.label else "").lower()
    rules = facts.settings.restricted_for(where.org, where.repo).values()
    wanted = (rule for rule in rules if any(on.label.lower() == label for on in rule.assign_on))
    logins = tuple(dict.fromkeys(user for rule in wanted for user in rule.allowed_users))
    if not logins:
        return Decision((), "the label asks for nobody")
    why = f"the label {label} asks for {', '.join(logins)}"
    return Decision((where.assign(logins, why),), why)


class _Answering:
    """One comment's labels, judged one after the other."""

    def __init__(self, facts: CommentFacts) -> None:
        self._facts = facts
        self._where = place.of(facts.comment.repo, facts.comment.number)
        self._why = f"{facts.comment.user.login} asked for it"
        self._restricted = facts.settings.restricted_for(self._where.org, self._where.repo)
        self._in_repo = {label.lower() for label in facts.repo_labels}
        self._actions: list[Action] = []
        self._unknown: list[str] = []
        self._not_in_repo: list[str] = []
        self._not_on_item: list[str] = []
        self._outsider = False
        self._gone: set[str] = set()

    def decision(self) -> Decision:
        asked = label_commands.parse(self._facts.comment.body)
        adding = [*asked.add, *self._named(asked.add_named)]
        removing = [*asked.remove, *self._named(asked.remove_named)]
        for label in adding:
            self._add(label)
        for label in removing:
            self._remove(label)
        self._need(adding, removing)
        text = self._summary()
        if text:
            self._actions.append(place.answer(self._facts.comment, text, "not all labels could be set"))
        return Decision(tuple(self._actions), text or f"labels asked for by {self._facts.comment.user.login}")

    def _named(self, labels: Iterable[str]) -> list[str]:
        """Keep what the configuration names; the rest is unknown."""
        known = {label.lower() for label in self._facts.settings.additional_labels} | set(self._restricted)
        found = []
        for label in labels:
            if label in known:
                found.append(label)
            else:
                self._unknown.append(label)
        return found

    def _add(self, label: str) -> None:
        if trust.has_label(self._facts.labels, label):
            return
        if label not in self._in_repo:
            self._not_in_repo.append(label)
        elif label == TRIAGE_ACCEPTED and not self._facts.member:
            self._outsider = True
        elif self._allowed(label):
            self._actions.append(self._where.add_label(label, self._why))

    def _remove(self, label: str) -> None:
        if not trust.has_label(self._facts.labels, label):
            self._not_on_item.append(label)
        elif label not in self._in_repo:
            self._not_in_repo.append(label)
        elif self._allowed(label):
            self._actions.append(self._where.remove_label(label, self._why))
            self._gone.add(label)

    def _allowed(self, label: str) -> bool:
        rule = self._restricted.get(label)
        if rule is None or label in self._facts.may_set:
            return True
        who = [*(f"team {slug}" for slug in rule.allowed_teams), *rule.allowed_users]  # named, not called
        text = f"You may not change the label `{label}`. Those who may: {_some(who) or 'nobody'}."
        self._actions.append(place.answer(self._facts.comment, text, f"{label} is restricted"))
        return False

    def _need(self, adding: list[str], removing: list[str]) -> None:
        """Ask for a label of a category, when one of it was to go and none stays: the last one, or there was none."""
        present = {label.lower() for label in self._facts.labels}
        for category in _NEEDED:
            prefix, needs = f"{category}/", f"needs-{category}"
            had = {label for label in present if label.startswith(prefix)}
            coming, going = (any(label.startswith(prefix) for label in asked) for asked in (adding, removing))
            if going and had <= self._gone and not coming and needs in self._in_repo - present:
                self._actions.append(self._where.add_label(needs, f"no {prefix} label is left"))

    def _summary(self) -> str:
        """Say at most one thing: the first that applies."""
        if self._unknown:
            return f"These labels cannot be set or removed by a command here: {_quoted(self._unknown)}."
        if self._not_in_repo:
            return f"This repository has no such labels: {_quoted(self._not_in_repo)}."
        if self._not_on_item:
            return f"These labels are not set here, so they cannot be removed: {_quoted(self._not_on_item)}."
        if self._outsider:
            return f"Only members of {self._where.org} may set `{TRIAGE_ACCEPTED}`."
        return ""


def _quoted(labels: list[str]) -> str:
    return _some([f"`{label[:_LONGEST].replace('`', '')}`" for label in labels])


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def configured(config: PluginConfig, repos: Sequence[str]) -> dict[str, str]:
    """Say which labels there are beside those of the categories, and which of them not everybody may set."""
    found: dict[str, str] = {}
    if config.label.additional_labels:
        found[""] = f"`/label` also takes {_all_quoted(config.label.additional_labels)}."
    for full_name in repos:
        org, _, repo = full_name.partition("/")
        if restricted := config.label.restricted_for(org, repo).values():
            found[full_name] = "\n".join(["Not everybody may set these labels:", *map(_restriction, restricted)])
    return found


def _restriction(rule: plugin_labels.RestrictedLabel) -> str:
    teams = [f"the team {team}" for team in rule.allowed_teams]
    told = f"- `{rule.label}`: {', '.join([*teams, *rule.allowed_users]) or 'nobody'}"
    on = [one.label for one in rule.assign_on]
    return f"{told}; these users are assigned where {_all_quoted(on)} is set" if on else told


def _all_quoted(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


SNIPPET = """\
label:
  additional_labels: [api-review, community/discussion]
  restricted_labels:
    my-org/my-repo:
    - label: cherry-pick-approved
      allowed_teams: [release-managers]
      allowed_users: [ann]
      assign_on:
      - label: do-not-merge/cherry-pick-not-approved
"""

PLUGIN = Plugin(
    name="label",
    help=Help(
        description="label sets and removes labels: of the categories area, committee, kind, language, priority, sig, "
        "triage and wg, and others that the configuration names.",
        commands=(
            Command(
                "/[remove-](area|committee|kind|language|priority|sig|triage|wg|label) <target>",
                "Sets or removes labels, several of one category at a time.",
                "Anyone; labels that the configuration restricts, only those it names; `triage/accepted`, members.",
                ("/kind bug", "/remove-area prow", "/sig testing", "/language zh", "/label foo-bar-baz"),
            ),
        ),
        config=configured,
        snippet=SNIPPET,
    ),
    events=frozenset({"generic_comment", "pull_request"}),
    gather=gather,
    decide=decide,
)
