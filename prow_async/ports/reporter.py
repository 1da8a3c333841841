"""What a reporter is: a name, when it is silent, and the stages of a report. One file under actors/reporters is one.

A reporter gathers through read ports, lets a pure function decide, and leaves every write to the executor. It is asked
again whenever a job's state differs from the one that prev_report_states holds under its name.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Literal, Protocol

import msgspec

from prow_async.api.actions import Action, Decision
from prow_async.api.errors import Refused
from prow_async.api.views import JobView

Judgement = Literal["done", "never", "unknown"]
"""What a reporter makes of a refusal: nothing is left to do; it can never work; the status tells."""


class Stage(msgspec.Struct, frozen=True):
    """One part of a report: gathered, decided and performed before the next."""

    decide: Callable[[JobView, bool], Awaitable[Decision]]
    """Gather and decide. The second argument is true when the state was told before, but may have been written over by
    what came late: what stands as it was told may be left out. Raises what ports raise; Missing and Refused end the
    report.
    """
    lane: Hashable = None
    """Stages of one lane (a pull request, a commit's context) take turns, over all jobs; None takes no turn."""


class Reporter(Protocol):
    @property
    def name(self) -> str:
        """Key in status.prev_report_states."""

    @property
    def repeatable(self) -> bool:
        """True when a report made twice looks as if made once: then its record may wait for others."""

    def silence(self, job: JobView) -> str | None:
        """Say why nothing is told of a job in its state, in words; None when something is. Cheap: often asked."""

    @property
    def in_crowd(self) -> int:
        """So many reports of one crowd are under way at once."""

    def crowd(self, job: JobView) -> Hashable:
        """Name what a job's report may get stuck on (a pull request, a cluster): it leaves room to others."""

    def stages(self, job: JobView) -> Sequence[Stage]: ...

    def judge(self, action: Action | None, error: Refused) -> Judgement:
        """Say what a refusal means: of an action, or of what was read (None)."""
