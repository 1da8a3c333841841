"""lgtm: a reviewer's word that a pull request looks good, as a label that goes when the code changes.

Source: upstream pkg/plugins/lgtm. The two comments it finds again by their text keep upstream's text.
"""

import re
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import structlog

from prow_async.api import plugin_review
from prow_async.api.actions import Action, Decision
from prow_async.api.errors import Refused
from prow_async.api.github import Comment, GenericComment, PullRequestEvent, ReviewEvent, User
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import owners, patterns, place, replies, trust
from prow_async.core.place import Place
from prow_async.ports.plugin import Command, Event, Help, Plugin, Reads

log = structlog.get_logger()
LABEL = "lgtm"
ADD = r"(?mi)^/lgtm(?: no-issue)?\s*$"
CANCEL = r"(?mi)^/(remove-lgtm|lgtm cancel)\s*$"
REMOVED = "New changes are detected. LGTM label has been removed."
ADDED = "LGTM label has been added.  <details>Git tree hash: {}</details>"
_ADDED = re.compile(re.escape(ADDED).replace(r"\{\}", "([0-9a-fA-F]+)"))


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word on a pull request, said in a comment or by a review."""

    where: Place
    wants: bool
    who: str
    author: str
    """Of the pull request."""
    assignees: tuple[str, ...]
    body: str
    url: str


class WordFacts(msgspec.Struct, frozen=True, kw_only=True):
    word: Word
    settings: plugin_review.Lgtm
    bot_login: str
    labels: tuple[str, ...]
    collaborator: bool
    skip_collaborators: bool
    in_owners: bool = False
    """Whether OWNERS of the changed files name who speaks; read only with skip_collaborators."""
    sticky: bool = False
    tree: str = ""
    """Of the head; read only where it is to be noted."""
    comments: tuple[Comment, ...] = ()


class PushFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The pull request got new commits."""

    event: PullRequestEvent
    settings: plugin_review.Lgtm
    bot_login: str = ""
    labels: tuple[str, ...] = ()
    sticky: bool = False
    tree: str = ""
    comments: tuple[Comment, ...] = ()


Facts = WordFacts | PushFacts
Refusal = Literal["own", "collaborator", "owners"]


def word_of(event: Event, settings: plugin_review.Lgtm, bot_login: str) -> Word | None:
    """Read a comment or a review as a word on the pull request; None when it is none.

    A review counts by its state if the settings say so; one whose text holds a command is heard as a comment.
    """
    match event:
        case GenericComment(action="created", is_pr=True, issue_state="open"):
            wants = _wish(event.body)
            if wants is None:
                return None
            return Word(
                where=place.of(event.repo, event.number),
                wants=wants,
                who=event.user.login,
                author=event.issue_author.login,
                assignees=_logins(event.assignees),
                body=event.body,
                url=event.html_url,
            )
        case ReviewEvent(action="submitted") if settings.review_acts_as_lgtm:
            review, pull = event.review, event.pull_request
            states = {"APPROVED": True, "CHANGES_REQUESTED": False}
            stated = states.get(review.state.upper())
            robot = review.user.type == "Bot" or replies.wrote(review.user.login, bot_login)
            if stated is None or robot or _wish(review.body or "") is not None:
                return None
            return Word(
                where=place.of(event.repository, pull.number),
                wants=stated,
                who=review.user.login,
                author=pull.user.login,
                assignees=_logins(pull.assignees),
                body=review.body or "",
                url=review.html_url,
            )
        case _:
            return None


def _wish(body: str) -> bool | None:
    if patterns.compile(ADD).search(body):
        return True
    return False if patterns.compile(CANCEL).search(body) else None


def _logins(users: tuple[User, ...]) -> tuple[str, ...]:
    return tuple(user.login for user in users)


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    """Read what the word's or the push's decision needs. A word that is refused costs two reads."""
    if isinstance(event, PullRequestEvent):
        alive = event.action == "synchronize" and not event.pull_request.merged
        return await _gather_push(reads, event) if alive else None
    if not isinstance(event, GenericComment | ReviewEvent):
        return None
    repo = event.repo if isinstance(event, GenericComment) else event.repository
    org, name = repo.owner.login, repo.name
    settings = reads.snapshot.plugins.lgtm_for(org, name)
    bot = (await reads.github.bot_user()).login if isinstance(event, ReviewEvent) else ""
    word = word_of(event, settings, bot)
    if word is None:
        return None
    facts = WordFacts(
        word=word,
        settings=settings,
        bot_login=(await reads.github.bot_user()).login,
        labels=await reads.github.labels(org, name, word.where.number),
        collaborator=await reads.github.is_collaborator(org, name, word.who),
        skip_collaborators=reads.snapshot.plugins.skips_collaborators(org, name),
    )
    if facts.skip_collaborators and word.who != word.author:
        facts = msgspec.structs.replace(facts, in_owners=await _in_owners(reads, word))
    if refusal(facts) is not None or trust.has_label(facts.labels, LABEL) == word.wants:
        return facts
    return await _gather_change(reads, facts)


async def _in_owners(reads: Reads, word: Word) -> bool:
    where = word.where
    if reads.owners is None:
        raise Refused("this process has no way to OWNERS files, which skip_collaborators asks for")
    pull = await reads.github.pull(where.org, where.repo, where.number)
    files = await reads.github.changed_files(where.org, where.repo, where.number)
    base_sha = await reads.github.branch_sha(where.org, where.repo, pull.base.ref)
    found = await reads.owners(where.org, where.repo, base_sha)
    who = owners.normal(word.who)
    return any(who in found.approvers(path) | found.reviewers(path) for path in files)


async def _gather_change(reads: Reads, facts: WordFacts) -> WordFacts:
    """Read what putting the label on, or taking it off, takes besides."""
    where, settings, word = facts.word.where, facts.settings, facts.word
    sticky = word.wants and await _is_sticky(reads, settings, where.org, word.author)
    if sticky or not (word.wants or settings.store_tree_hash):
        return msgspec.structs.replace(facts, sticky=sticky)
    comments = await reads.github.comments(where.org, where.repo, where.number)
    tree = ""
    if word.wants and settings.store_tree_hash:
        head = (await reads.github.pull(where.org, where.repo, where.number)).head.sha
        tree = await _tree(reads, where, head)
    return msgspec.structs.replace(facts, comments=comments, tree=tree)


async def _gather_push(reads: Reads, event: PullRequestEvent) -> PushFacts:
    where, pull = place.of(event.repository, event.number), event.pull_request
    settings = reads.snapshot.plugins.lgtm_for(where.org, where.repo)
    labels = await reads.github.labels(where.org, where.repo, where.number)
    facts = PushFacts(event=event, settings=settings, labels=labels)
    if not trust.has_label(labels, LABEL):
        return facts
    if await _is_sticky(reads, settings, where.org, pull.user.login):
        return msgspec.structs.replace(facts, sticky=True)
    if not settings.store_tree_hash:
        return facts
    return msgspec.structs.replace(
        facts,
        bot_login=(await reads.github.bot_user()).login,
        comments=await reads.github.comments(where.org, where.repo, where.number),
        tree=await _tree(reads, where, pull.head.sha),
    )


async def _tree(reads: Reads, where: Place, sha: str) -> str:
    """Return a commit's tree; "" where GitHub does not tell: no label stays for the want of it."""
    try:
        return await reads.github.tree_sha(where.org, where.repo, sha)
    except Refused as error:
        log.warning("a commit's tree cannot be read", where=where.full_repo, sha=sha, why=error.why)
        return ""


async def _is_sticky(reads: Reads, settings: plugin_review.Lgtm, org: str, author: str) -> bool:
    """True when the author is of the team whose pull requests keep the label. The team is found by its name.

    Where GitHub does not tell, nobody is: new commits take the label off all the same.
    """
    name = settings.trusted_team_for_sticky_lgtm
    if not name:
        return False
    try:
        slugs = [team.slug for team in await reads.github.teams(org) if team.name == name]
        if not slugs:
            log.warning("no team has the name of trusted_team_for_sticky_lgtm", team=name, org=org)
        return bool(slugs) and await reads.github.is_team_member(org, slugs[0], author)
    except Refused as error:
        log.warning("the team of trusted_team_for_sticky_lgtm cannot be read", team=name, org=org, why=error.why)
        return False


def refusal(facts: WordFacts) -> Refusal | None:
    """Say which rule forbids the word, if any does. Authors may take the label off, never put it on."""
    word = facts.word
    if word.who == word.author:
        return "own" if word.wants else None
    if facts.skip_collaborators:
        return None if facts.in_owners else "owners"
    return None if facts.collaborator else "collaborator"


_REFUSALS: dict[Refusal, str] = {
    "own": "You cannot say `/lgtm` to your own pull request.",
    "collaborator": "Only collaborators of this repository may add or remove LGTM.",
    "owners": "Only approvers and reviewers in the OWNERS files of what is changed may add or remove LGTM.",
}


def decide(facts: Facts) -> Decision:
    match facts:
        case WordFacts():
            return _decide_word(facts)
        case PushFacts():
            return _decide_push(facts)


def _decide_word(facts: WordFacts) -> Decision:
    word, where = facts.word, facts.word.where
    refused = refusal(facts)
    if refused is not None:
        text = replies.reply(word.who, _REFUSALS[refused], word.body, word.url)
        return Decision((where.comment(text, _REFUSALS[refused]),), _REFUSALS[refused])
    done: list[Action] = []
    if word.who != word.author and not facts.skip_collaborators and word.who not in word.assignees:
        done.append(where.assign((word.who,), f"{word.who} reviews it"))
    has = trust.has_label(facts.labels, LABEL)
    why = f"{word.who} {'finds it good' if word.wants else 'takes LGTM back'}"
    if has and not word.wants:
        done.append(where.remove_label(LABEL, why))
        if facts.settings.store_tree_hash:
            if word.assignees:
                done.append(where.request_reviews(word.assignees, "they are to look again"))
            done += _pruned(facts, lambda body: _ADDED.search(body) is not None)
    elif word.wants and not has:
        done.append(where.add_label(LABEL, why))
        if not facts.sticky:
            if facts.settings.store_tree_hash and facts.tree:
                done.append(where.comment(ADDED.format(facts.tree), "notes what was looked at"))
            done += _pruned(facts, lambda body: REMOVED in body)
    return Decision(tuple(done), why)


def _pruned(facts: WordFacts, goes: Callable[[str], bool]) -> list[Action]:
    ours = (old for old in facts.comments if replies.wrote(old.user.login, facts.bot_login))
    return [facts.word.where.delete_comment(old.id, "it is out of date") for old in ours if goes(old.body or "")]


def _decide_push(facts: PushFacts) -> Decision:
    event = facts.event
    where = place.of(event.repository, event.number)
    if not trust.has_label(facts.labels, LABEL):
        return Decision((), "it has no LGTM to lose")
    if facts.sticky:
        return Decision((), f"{event.pull_request.user.login} is of the team whose LGTM stays")
    if facts.tree and _noted(facts) == facts.tree:
        return Decision((), f"LGTM stays: the files are the same (tree {facts.tree})")
    why = "new commits came after LGTM"
    done: list[Action] = [where.remove_label(LABEL, why), where.comment(REMOVED, why)]
    assignees = _logins(event.pull_request.assignees)
    if facts.settings.store_tree_hash and assignees:
        done.append(where.request_reviews(assignees, "what they looked at has changed"))
    return Decision(tuple(done), why)


def _noted(facts: PushFacts) -> str:
    """Return the tree that our newest note names; one that was edited does not count."""
    for comment in reversed(facts.comments):
        found = _ADDED.search(comment.body or "")
        if found and replies.wrote(comment.user.login, facts.bot_login) and comment.updated_at == comment.created_at:
            return found[1]
    return ""


def configured(config: PluginConfig, repos: Sequence[str]) -> dict[str, str]:
    """Say what counts as LGTM in each repo, and what makes it stay."""
    found: dict[str, str] = {}
    for full_name in repos:
        settings = config.lgtm_for(*full_name.split("/", 1))
        told = []
        if settings.review_acts_as_lgtm:
            told.append("An approving review counts as `/lgtm`, one that asks for changes as `/lgtm cancel`.")
        if settings.store_tree_hash:
            told.append("LGTM stays when new commits leave the files as they were.")
        if settings.trusted_team_for_sticky_lgtm:
            told.append(f"LGTM stays on pull requests of the team {settings.trusted_team_for_sticky_lgtm}.")
        if told:
            found[full_name] = " ".join(told)
    return found


SNIPPET = """\
lgtm:
- repos: [my-org/my-repo]
  review_acts_as_lgtm: true
  store_tree_hash: true
  trusted_team_for_sticky_lgtm: Release Managers
"""

PLUGIN = Plugin(
    name="lgtm",
    help=Help(
        description=f"lgtm puts the label `{LABEL}` on a pull request when a reviewer finds it good, and takes it off "
        "when new commits come.",
        commands=(
            Command(
                "/lgtm [cancel], or a review on GitHub where the configuration says so",
                f"Adds or removes the label `{LABEL}`, which merging usually asks for.",
                "Collaborators of the repository; where it skips collaborators, approvers and reviewers in OWNERS. "
                "Authors may only cancel.",
                ("/lgtm", "/lgtm cancel", "/remove-lgtm"),
            ),
        ),
        config=configured,
        snippet=SNIPPET,
    ),
    events=frozenset({"generic_comment", "pull_request_review", "pull_request"}),
    gather=gather,
    decide=decide,
)
