"""Errors named by the caller's next move. Adapters translate at the door: no library exception passes a port."""

from collections.abc import Sequence

import msgspec

_MAX_TEXT = 2000


class ProwError(Exception):
    """Root of every error that crosses a room's border."""


class Retry(ProwError):
    """It may work later: network trouble, 5xx, a rate limit. Wait, then send the same again."""

    def __init__(self, why: str, after_s: float | None = None, status: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s or None
        """Seconds the server asked for; None leaves it to the caller's backoff. So does a server that asks for none at
        all: taken at its word, it would be asked again without a pause for as long as it says so.
        """
        self.status = status


class Stale(ProwError):
    """The write was made against an old view (409 Conflict, a precondition failed). Read again and decide again."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Exists(ProwError):
    """The name is taken (409 AlreadyExists). Read what stands there, then adopt it, wait or give up."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Refused(ProwError):
    """The server said no for good (400, 401, 403, 415, 422 ...). Do not send the same again."""

    def __init__(self, why: str, status: int = 0, reason: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.status = status
        self.reason = reason
        """Kubernetes' machine word (Invalid, Forbidden ...) or GitHub's message; may be empty."""


class Missing(Refused):
    """The thing is not there (404). For a delete that is success."""

    def __init__(self, why: str) -> None:
        super().__init__(why, status=404, reason="NotFound")


class Expired(ProwError):
    """The resourceVersion or continue token is too old (410). List again from the start."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UserMistake(ProwError):
    """A person asked for something that cannot be done. Tell that person; page nobody."""

    def __init__(self, text_for_user: str) -> None:
        super().__init__(text_for_user)
        self.text_for_user = text_for_user


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing wrong with a configuration, and where. `line` counts from 1; 0 means the whole file."""

    file: str
    line: int
    text: str
    rule: str = ""
    """The rule of ours that it breaks, where somebody counts that; "" for what is simply wrong."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return printable(f"{where}: {self.text}")


def printable(text: str) -> str:
    """Return untrusted text as one line for a terminal: what would steer it written as an escape, the rest of a long
    text left out.
    """
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]} ..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class ConfigErrors(ProwError):
    """A configuration does not load. Holds every problem found, never only the first. Keep the last good one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(p) for p in self.problems))


class CannotStart(ProwError):
    """The process cannot start as asked (port taken, file unreadable, token missing). Print the line, exit 2."""


class Bug(ProwError):
    """An invariant broke. The actor dies with its story; its supervisor rebuilds it from the cluster's truth."""

    def __init__(self, what: str, story: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.story = tuple(story)
