"""Which jobs are told in Slack, in which channel, in which words."""

from typing import Any

import msgspec
import pytest

from prow_async.api.actions import PostSlackMessage
from prow_async.api.config import SlackReporter
from prow_async.api.prowjob import ProwJobStatus, SlackReporterConfig
from prow_async.core import crier_slack
from tests.unit.core import samples

FAILURES = SlackReporter(channel="ci", job_states_to_report=("failure",), job_types_to_report=("presubmit",))
OWN = SlackReporterConfig(channel="own", job_states_to_report=("failure",))


@pytest.mark.parametrize(
    ("job", "configs", "speaks"),
    [
        ({}, {}, False),
        ({}, {"*": FAILURES}, True),
        ({}, {"o": FAILURES}, True),
        ({}, {"o/r": FAILURES}, True),
        ({}, {"o/other": FAILURES}, False),
        ({}, {"o/r": SlackReporter(channel="x"), "*": FAILURES}, False),
        ({"state": "success"}, {"*": FAILURES}, False),
        ({"type": "postsubmit"}, {"*": FAILURES}, False),
        ({"type": "postsubmit", "slack": OWN}, {"*": FAILURES}, True),
        ({"slack": OWN}, {}, True),
        ({"slack": msgspec.structs.replace(OWN, report=False)}, {"*": FAILURES}, False),
        ({"slack": msgspec.structs.replace(OWN, job_states_to_report=())}, {"*": FAILURES}, False),
        ({"slack": SlackReporterConfig(job_states_to_report=("success",))}, {"*": FAILURES}, False),
        ({"slack": SlackReporterConfig(report=True)}, {"*": FAILURES}, True),
        ({}, {"*": msgspec.structs.replace(FAILURES, report=False)}, False),
        ({"slack": SlackReporterConfig(report=True)}, {"*": msgspec.structs.replace(FAILURES, report=False)}, True),
        ({"org": "", "repo": "", "pulls": (), "extra_repos": ("p/lib",)}, {"p": FAILURES}, True),
        ({"org": "", "repo": "", "pulls": (), "extra_repos": ()}, {"o": FAILURES}, False),
        ({"org": "", "repo": "", "pulls": (), "extra_repos": ()}, {"*": FAILURES}, True),
        ({"org": "https://review.example", "repo": "a/b"}, {"https://review.example": FAILURES}, True),
        ({"org": "https://review.example", "repo": "a/b"}, {"https://review.example/a/b": FAILURES}, True),
        ({"org": "", "repo": "", "extra_repos": ("https://g.example/a",)}, {"https://g.example": FAILURES}, True),
        ({"report": False}, {"*": FAILURES}, True),
    ],
)
def test_silence(job: dict[str, Any], configs: dict[str, SlackReporter], speaks: bool) -> None:
    """The narrowest scope counts alone; a job's own settings win field by field; its channel stands for its type."""
    assert (crier_slack.silence(samples.view(**job), configs) is None) is speaks


@pytest.mark.parametrize(
    ("own", "scope", "expected"),
    [
        (None, FAILURES, ("*", "ci", "Job unit of type presubmit ended with state failure. <https://x/1|View logs>")),
        (SlackReporterConfig(host="h", report_template="{{.Spec.Job}}"), FAILURES, ("h", "ci", "unit")),
        (OWN, SlackReporter(channel="ci", host="g", report_template="t"), ("g", "own", "t")),
        (OWN, FAILURES, ("*", "own", "Job unit of type presubmit ended with state failure. <https://x/1|View logs>")),
    ],
)
def test_messages(own: SlackReporterConfig | None, scope: SlackReporter, expected: tuple[str, str, str]) -> None:
    job = msgspec.structs.replace(samples.prowjob(), status=ProwJobStatus(state="failure", url="https://x/1"))
    settings = crier_slack.settings_of(samples.view(slack=own), {"*": scope})
    (action,) = crier_slack.decide(job, settings).actions
    assert isinstance(action, PostSlackMessage)
    assert (action.host, action.channel, action.text) == expected


def test_a_template_that_does_not_execute() -> None:
    """The job is told of all the same, and why in such words."""
    settings = crier_slack.settings_of(samples.view(), {"*": SlackReporter(channel="c", report_template="{{.Nope")})
    (action,) = crier_slack.decide(samples.prowjob(), settings).actions
    assert isinstance(action, PostSlackMessage)
    assert "does not execute" in action.text
