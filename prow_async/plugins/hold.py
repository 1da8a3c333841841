"""hold: keeps a pull request from being merged until somebody lifts it.

Source: upstream pkg/plugins/hold.
"""

import msgspec

from prow_async.api.actions import Decision
from prow_async.api.github import GenericComment
from prow_async.core import patterns, place, trust
from prow_async.ports.plugin import Command, Event, Help, Plugin, Reads

LABEL = "do-not-merge/hold"
ADD = r"(?mi)^/hold(\s.*)?$"
CANCEL = r"(?mi)^/(remove-hold|hold\s+cancel|unhold)(\s.*)?$"


class Facts(msgspec.Struct, frozen=True):
    comment: GenericComment
    labels: tuple[str, ...]


def wanted(comment: GenericComment) -> bool | None:
    """Say whether a comment asks for the hold (True), lifts it (False) or does neither (None)."""
    if comment.action != "created" or not comment.is_pr:
        return None
    if patterns.compile(CANCEL).search(comment.body):
        return False
    return True if patterns.compile(ADD).search(comment.body) else None


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    """Read the labels, when the comment holds a command. Pull requests that are closed can be held too."""
    if not isinstance(event, GenericComment) or wanted(event) is None:
        return None
    where = place.of(event.repo, event.number)
    return Facts(event, await reads.github.labels(where.org, where.repo, where.number))


def decide(facts: Facts) -> Decision:
    hold, held = wanted(facts.comment), trust.has_label(facts.labels, LABEL)
    where, who = place.of(facts.comment.repo, facts.comment.number), facts.comment.user.login
    if hold and not held:
        return Decision((where.add_label(LABEL, f"{who} holds it"),), f"{who} holds it")
    if not hold and held:
        return Decision((where.remove_label(LABEL, f"{who} lifts the hold"),), f"{who} lifts the hold")
    return Decision((), "it is held already" if hold else "it is not held")


PLUGIN = Plugin(
    name="hold",
    help=Help(
        description=f"hold puts the label `{LABEL}` on a pull request, which is not merged while it is there.",
        commands=(
            Command(
                "/hold [cancel]",
                f"Adds or removes the label `{LABEL}`.",
                "Anyone.",
                ("/hold", "/hold cancel", "/unhold", "/remove-hold"),
            ),
        ),
    ),
    events=frozenset({"generic_comment"}),
    gather=gather,
    decide=decide,
)
