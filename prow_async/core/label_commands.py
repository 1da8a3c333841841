"""What `/kind bug` and its kin ask for.

Source: upstream pkg/plugins/label. What it does with odd lines is kept: they are split at single spaces, so two in a
row name an empty label, and a tab joins. Spaces at the end of a line name nothing.
"""

import msgspec

from prow_async.core import patterns

_CATEGORIES = "(area|committee|kind|language|priority|sig|triage|wg)"
_ADD = rf"(?m)^/{_CATEGORIES}\s*(.*?)\s*$"
_REMOVE = rf"(?m)^/remove-{_CATEGORIES}\s*(.*?)\s*$"
_ADD_NAMED = r"(?m)^/label\s*(.*?)\s*$"
_REMOVE_NAMED = r"(?m)^/remove-label\s*(.*?)\s*$"
ASKED_MAX = 200
"""So many labels of each kind are looked at in one comment."""


class Asked(msgspec.Struct, frozen=True):
    """Labels in the order of the comment, each once, in lower case: to GitHub they are the same in any."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    add_named: tuple[str, ...] = ()
    """Of `/label NAME`: only labels that the configuration names may be set this way."""
    remove_named: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        return bool(self.add or self.remove or self.add_named or self.remove_named)


def parse(body: str) -> Asked:
    """Read the commands of a comment; what stands in HTML comments is none."""
    text = without_html_comments(body)
    return Asked(
        _of_categories(_ADD, text),
        _of_categories(_REMOVE, text),
        _named(_ADD_NAMED, "/label", text),
        _named(_REMOVE_NAMED, "/remove-label", text),
    )


def without_html_comments(text: str) -> str:
    """Drop `<!-- ... -->`. One that is not closed is text."""
    kept: list[str] = []
    while True:
        before, opened, rest = text.partition("<!--")
        _, closed, after = rest.partition("-->")
        if not opened or not closed:
            return "".join([*kept, text])
        kept.append(before)
        text = after


def _of_categories(command: str, text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for line, groups in patterns.compile(command).find_all(text):
        for word in line.strip().split(" ")[1:]:
            found[f"{groups[0]}/{word.strip()}".lower()] = None
    return tuple(found)[:ASKED_MAX]


def _named(command: str, word: str, text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for line, _ in patterns.compile(command).find_all(text):
        parts = line.strip().split(" ")
        if len(parts) == 2 and parts[0] == word:
            found[parts[1].lower()] = None
    return tuple(found)[:ASKED_MAX]
