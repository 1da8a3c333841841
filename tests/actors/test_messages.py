"""What is told just once, in Slack and on Pub/Sub: of each state at most one message, and no request in a loop."""

from pathlib import Path

import msgspec

from prow_async.actors.reporters.pubsub import PubSubReporter
from prow_async.actors.reporters.slack import SlackReporter
from prow_async.api.config import SlackReporter as Settings
from prow_async.api.errors import Retry
from prow_async.sandbox.faults import Fault
from tests.actors.outlets import Outlets
from tests.actors.test_reporters import advance, reported, town_with, with_topic
from tests.actors.worlds import passes, settle, story


@story
async def test_a_job_that_moves_on_while_it_is_read(tmp_path: Path) -> None:
    """1. Read afresh for `triggered`, the job is over already. 2. One message tells its end, not one for each state."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    async with town.engine("crier", reports=outlets.reports(PubSubReporter)):
        town.kube.faults.fail("GET", "/prowjobs/a", Fault("delay", delay_s=5))
        town.kube.put(with_topic(town.presubmit("a", number, sha)))
        await settle()
        advance(town, "a", "pending")
        advance(town, "a", "success")
        await passes(60)
        assert [message["status"] for _, _, message in outlets.mailbox.published] == ["success"]
        assert reported(town, "a") == {"pubsub-reporter": "success"}
        assert town.metrics.total("crier_reporting_results", result="ERROR") == 0


@story
async def test_a_watch_that_is_behind(tmp_path: Path) -> None:
    """1. A fresh read shows `pending`, the watch still `triggered`. 2. Nothing is said until it follows, then once."""
    settings = Settings(channel="c", job_states_to_report=("triggered", "pending"), job_types_to_report=("presubmit",))
    town = town_with(slack_reporter_configs={"*": settings})
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    async with town.engine("crier", reports=outlets.reports(SlackReporter)):
        town.kube.faults.fail("GET", "/prowjobs/a", Fault("delay", delay_s=5))
        town.kube.put(town.presubmit("a", number, sha))
        await settle()
        town.kube.faults.watch_line = lambda line: []
        advance(town, "a", "pending")
        await passes(60)
        assert outlets.mailbox.posts == []
        town.kube.faults.watch_line = None
        town.kube.patch("a", {"metadata": {"labels": {"touched": "true"}}})
        await passes(60)
        assert [text.partition(". ")[0] for _, _, text in outlets.mailbox.posts] == [
            "Job unit of type presubmit ended with state pending"
        ]
        assert reported(town, "a") == {"slackreporter": "pending"}


class _Limited:
    """Implements ports/messages.Slack: at its limit, and names no time to wait."""

    def __init__(self) -> None:
        self.asked = 0

    async def post(self, host: str, channel: str, text: str) -> None:
        self.asked += 1
        assert self.asked < 1000, "asked again and again, without a pause"
        raise Retry("rate limit", after_s=0.0, status=429)


@story
async def test_a_server_that_asks_for_no_wait(tmp_path: Path) -> None:
    """`Retry-After: 0`, for an hour: it is asked again after growing waits, as one that says nothing."""
    settings = Settings(channel="c", job_states_to_report=("failure",), job_types_to_report=("presubmit",))
    town = town_with(slack_reporter_configs={"*": settings})
    slack = _Limited()
    reports = msgspec.structs.replace(Outlets(town, tmp_path).reports(SlackReporter), slack=slack)
    town.kube.put(town.presubmit("a"))
    async with town.engine("crier", reports=reports):
        advance(town, "a", "failure")
        await passes(3600)
        assert 10 < slack.asked < 200
