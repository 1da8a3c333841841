"""help: marks issues that wait for somebody to take them up.

Source: upstream pkg/plugins/help.
"""

from collections.abc import Sequence

import msgspec

from prow_async.api import plugin_labels
from prow_async.api.actions import Action, Decision
from prow_async.api.github import Comment, GenericComment
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import patterns, place, replies, trust
from prow_async.ports.plugin import Command, Event, Help, Plugin, Reads

HELP_WANTED = "help wanted"
GOOD_FIRST_ISSUE = "good first issue"
HELP_MARKER = "<!-- prow help wanted -->"
FIRST_MARKER = "<!-- prow good first issue -->"
"""Hidden marks by which our own comments are found again, to be taken away with the label."""
HELP_MARKS = (HELP_MARKER, "This request has been marked as needing help from a contributor.")
FIRST_MARKS = (FIRST_MARKER, "This request has been marked as suitable for new contributors.")
"""With the sentences by which upstream finds its own: one that it wrote under our name goes too."""
_REMOVE_HELP = r"(?mi)^/remove-help\s*$"
_FIRST = r"(?mi)^/good-first-issue\s*$"
_HELP = r"(?mi)^/help\s*$"
_REMOVE_FIRST = r"(?mi)^/remove-good-first-issue\s*$"


class Facts(msgspec.Struct, frozen=True):
    comment: GenericComment
    settings: plugin_labels.Help
    labels: tuple[str, ...]
    bot_login: str = ""
    comments: tuple[Comment, ...] = ()
    """Read only where comments of ours may have to go."""


def concerns(comment: GenericComment) -> bool:
    """True for a new comment with a command on an open issue that is no pull request."""
    if comment.action != "created" or comment.is_pr or comment.issue_state != "open":
        return False
    return any(_says(command, comment) for command in (_REMOVE_HELP, _FIRST, _HELP, _REMOVE_FIRST))


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    if not isinstance(event, GenericComment) or not concerns(event):
        return None
    where = place.of(event.repo, event.number)
    labels = await reads.github.labels(where.org, where.repo, where.number)
    facts = Facts(event, reads.snapshot.plugins.help, labels)
    if not _removes(facts):
        return facts
    bot = await reads.github.bot_user()
    comments = await reads.github.comments(where.org, where.repo, where.number)
    return msgspec.structs.replace(facts, bot_login=bot.login, comments=comments)


def decide(facts: Facts) -> Decision:
    """Do the first thing of: remove help, add good first issue, add help, remove good first issue."""
    where, comment, who = place.of(facts.comment.repo, facts.comment.number), facts.comment, facts.comment.user.login
    helped = trust.has_label(facts.labels, HELP_WANTED)
    first = trust.has_label(facts.labels, GOOD_FIRST_ISSUE)
    if helped and _says(_REMOVE_HELP, comment):
        why = f"{who} wants no more help"
        gone = [where.remove_label(HELP_WANTED, why), *_pruned(facts, HELP_MARKS)]
        if first:
            gone += [where.remove_label(GOOD_FIRST_ISSUE, why), *_pruned(facts, FIRST_MARKS)]
        return Decision(tuple(gone), why)
    if not first and _says(_FIRST, comment):
        why = f"{who} holds it to be a good first issue"
        added: list[Action] = [place.answer(comment, _first_text(facts), why), where.add_label(GOOD_FIRST_ISSUE, why)]
        if not helped:
            added.append(where.add_label(HELP_WANTED, why))
        return Decision(tuple(added), why)
    if not helped and _says(_HELP, comment):
        why = f"{who} asks for help"
        return Decision((place.answer(comment, _help_text(facts), why), where.add_label(HELP_WANTED, why)), why)
    if first and _says(_REMOVE_FIRST, comment):
        why = f"{who} holds it to be no good first issue"
        return Decision((where.remove_label(GOOD_FIRST_ISSUE, why), *_pruned(facts, FIRST_MARKS)), why)
    return Decision((), "the labels are as the command asks for")


def _says(command: str, comment: GenericComment) -> bool:
    return patterns.compile(command).search(comment.body)


def _removes(facts: Facts) -> bool:
    """True when a label goes, and with it what we said when it came."""
    helped = trust.has_label(facts.labels, HELP_WANTED) and _says(_REMOVE_HELP, facts.comment)
    first = trust.has_label(facts.labels, GOOD_FIRST_ISSUE) and _says(_REMOVE_FIRST, facts.comment)
    return helped or first


def _pruned(facts: Facts, marks: tuple[str, ...]) -> list[Action]:
    where = place.of(facts.comment.repo, facts.comment.number)
    ours = (old for old in facts.comments if replies.wrote(old.user.login, facts.bot_login))
    fitting = (old for old in ours if any(mark in (old.body or "") for mark in marks))
    return [where.delete_comment(old.id, "its label is gone") for old in fitting]


def _guidelines(facts: Facts, part: str = "") -> str:
    url, summary = facts.settings.help_guidelines_url, facts.settings.help_guidelines_summary
    told = f"Please make sure that it meets the [guidelines]({url}{part})"
    return f"{told}:\n{summary}" if summary else f"{told}."


def _help_text(facts: Facts) -> str:
    return (
        "This issue asks for a contributor's help.\n\n"
        f"{_guidelines(facts)}\n\n"
        f"If it does not any more, `/remove-help` takes the label away.\n{HELP_MARKER}"
    )


def _first_text(facts: Facts) -> str:
    return (
        "This issue is marked as one that new contributors can take up.\n\n"
        f"{_guidelines(facts, '#good-first-issue')}\n\n"
        f"If it turns out to be none, `/remove-good-first-issue` takes the label away.\n{FIRST_MARKER}"
    )


def configured(config: PluginConfig, repos: Sequence[str]) -> dict[str, str]:
    """Say what such issues have to meet."""
    summary = config.help.help_guidelines_summary
    told = f"Issues are measured by the guidelines at {config.help.help_guidelines_url}"
    return {"": f"{told}:\n{summary}" if summary else f"{told}."}


SNIPPET = """\
help:
  help_guidelines_url: https://example.com/contributing
  help_guidelines_summary: |
    The issue says what is to be done, and whom to ask.
"""

PLUGIN = Plugin(
    name="help",
    help=Help(
        description=f"help puts the labels `{HELP_WANTED}` and `{GOOD_FIRST_ISSUE}` on issues, and takes them off.",
        commands=(
            Command(
                "/[remove-](help|good-first-issue)",
                f"Adds or removes `{HELP_WANTED}` and `{GOOD_FIRST_ISSUE}`; the second brings the first with it, "
                "and goes with it.",
                "Anyone.",
                ("/help", "/remove-help", "/good-first-issue", "/remove-good-first-issue"),
            ),
        ),
        config=configured,
        snippet=SNIPPET,
    ),
    events=frozenset({"generic_comment"}),
    gather=gather,
    decide=decide,
)
