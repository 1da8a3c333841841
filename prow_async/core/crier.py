"""What every reporter has in common: when a report is acknowledged, and what becomes of one that is refused.

A reporter owes a report whenever a job's state differs from the one recorded for it in prev_report_states. The record
is written last, for all reporters of a state at once: a crash in between repeats reports that change nothing.

Source: upstream pkg/crier/controller.go.
"""

from collections.abc import Mapping
from typing import Literal

from prow_async.api import names
from prow_async.api.actions import PatchProwJob, RecordEvent
from prow_async.api.views import JobView

TRIGGERED_S = 30.0
"""Most jobs leave `triggered` sooner: what was said of it is then never recorded, as the next state is at once."""
GATHER_S = 10.0
"""So long what has been reported waits for reporters that are slower, to be recorded together."""
LOOKS = 3
"""A refusal that looks final but may be GitHub's haste (a commit not yet known everywhere) is asked for so often."""
PATIENCE = 10
"""So often a report is tried that is refused for a reason somebody may mend: credentials, permissions."""
_SHORTEST_WAIT_S = 0.001
"""Less is what rounding leaves."""
_FINAL = frozenset({400, 410, 422})

Outcome = Literal["again", "park", "rest"]


def acknowledged(job: JobView, reporter: str) -> bool:
    return job.reported.get(reporter) == job.state


def after_refusal(status: int, hopeless: bool, tries: int) -> Outcome:
    """Say what becomes of a report that was refused.

    `park`: it can never work, so the state counts as reported and only the next one is tried. `rest`: it is left alone
    until the next state or a restart, as somebody has to act. `again`: after a growing wait.

    Args:
        status: HTTP status of the refusal; 0 when there was none.
        hopeless: the reporter knows that repeating cannot help.
        tries: how often this state has been refused, this time included.
    """
    if hopeless or status == 404 or (status in _FINAL and tries >= LOOKS):
        return "park"
    return "again" if status in _FINAL or tries < PATIENCE else "rest"


def record_wait_s(state: str, owed: bool, waited_s: float) -> float:
    """Say for how many more seconds a record may be put off. 0: write it now.

    Args:
        state: the job's state now.
        owed: a reporter has still to report that state.
        waited_s: how long the oldest report that is to be recorded has waited.
    """
    limit_s = TRIGGERED_S if state == "triggered" else GATHER_S if owed else 0.0
    left_s = limit_s - waited_s
    return left_s if left_s >= _SHORTEST_WAIT_S else 0.0


def record(job: JobView, states: Mapping[str, str]) -> PatchProwJob:
    """Record what has been reported, by reporter, on condition that the job is as we know it: a record that arrives
    late, after another crier has told a newer state, must not bring the older one back.
    """
    told = ", ".join(f"{reporter}: {state}" for reporter, state in sorted(states.items()))
    return PatchProwJob(
        namespace=job.namespace,
        name=job.name,
        resource_version=job.resource_version,
        patch={"status": {"prev_report_states": dict(sorted(states.items()))}},
        why=f"reported: {told}",
    )


def still_ours(states: Mapping[str, str], known: Mapping[str, str], fresh: JobView) -> dict[str, str]:
    """Return what is still to be recorded once a job's records have changed: not what somebody else has recorded, but
    for the job's present state. That one is the newest there is, so another's record is of an older one and came late.

    Args:
        known: the records that we know of, our own last ones among them.
        fresh: the job as it is.
    """
    return {
        name: state
        for name, state in states.items()
        if fresh.state == state or fresh.reported.get(name) in (known.get(name), state)
    }


def refusal_event(job: JobView, reporter: str, why: str, outcome: Outcome) -> RecordEvent:
    """Tell the job's owner that a state is not reported."""
    what = "counts as reported" if outcome == "park" else "is tried again once the process starts anew"
    return RecordEvent(
        namespace=job.namespace,
        kind="ProwJob",
        name=job.name,
        uid=job.uid,
        api_version=names.API_VERSION,
        reason="ReportRefused",
        message=f"{reporter} cannot report state {job.state}, which {what}; the next state is tried. {why}",
        warning=True,
        why=why,
    )
