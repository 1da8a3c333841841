"""Build ids: where tot is configured they are its numbers."""

import pytest

from prow_async.api.errors import Retry
from prow_async.ports.web import Answered
from tests.actors.worlds import Town, passes, story

TOT = "http://tot.example/ci"


@story
async def test_tot_is_asked() -> None:
    """1. Tot vends 17. 2. The pod and the job carry it."""
    town = Town()
    town.internet.answers[f"{TOT}/vend/unit"] = Answered(200, b"17\n")
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank", tot_url=TOT):
        assert town.kube.job("a").status.build_id == "17"
        assert town.kube.pod("a")["metadata"]["labels"]["prow.k8s.io/build-id"] == "17"
    assert town.internet.asked == [("GET", f"{TOT}/vend/unit", b"")]


@pytest.mark.parametrize("answer", [Answered(500, b"17"), Answered(200, b"<html>"), Answered(200, b""), Retry("away")])
@story
async def test_tot_is_asked_until_it_answers(answer: Answered | Exception) -> None:
    """1. Tot is of no use for two minutes: the job waits. 2. It answers: the job starts."""
    town = Town()
    url = f"{TOT}/vend/unit"
    town.internet.answers[url] = answer
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank", tot_url=TOT):
        await passes(50)
        assert len(town.internet.asked) == 9
        await passes(70)
        assert len(town.internet.asked) > 10
        assert town.kube.job("a").status.state == "triggered"
        town.internet.answers[url] = Answered(200, b"18")
        await passes(120)
        assert town.kube.job("a").status.build_id == "18"
