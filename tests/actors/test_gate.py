"""The gate by itself: who is woken, and when nobody may be."""

from typing import Any

import msgspec

from prow_async.actors.gate import Gate
from prow_async.api.config import Config, Plank
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.views import JobView
from prow_async.core import slots
from tests.actors.worlds import Configured


class Street:
    """Jobs and pods as they are seen, and who was woken."""

    def __init__(self, **plank: Any) -> None:
        self.jobs: dict[str, JobView] = {}
        self.pods: dict[str, slots.Pod] = {}
        self.woken: list[str] = []
        self.config = Configured(Config(plank=Plank(**plank)), PluginConfig())
        self.gate = Gate(self.jobs.get, lambda job: self.pods.get(job.name, "absent"), self.config, self.woken.append)
        self._clock = 0.0

    def put(self, name: str, **more: Any) -> JobView:
        self._clock += 1
        base: dict[str, Any] = {"namespace": "n", "uid": name, "resource_version": "1", "created_s": self._clock}
        base |= {"type": "periodic", "agent": "kubernetes", "job": "unit", "state": "triggered"}
        self.jobs[name] = JobView(**{**base, "name": name, **more})
        self.gate.look(name)
        return self.jobs[name]

    def change(self, name: str, **changes: Any) -> None:
        self.jobs[name] = msgspec.structs.replace(self.jobs[name], **changes)
        self.gate.look(name)


def test_nothing_is_given_before_all_is_known_and_somebody_acts() -> None:
    """A stream shows a waiting job first, then the one that runs: nobody is woken in between."""
    street = Street(max_concurrency=1)
    street.gate.open()
    waits = street.put("waits")
    assert not street.gate.enter(waits)
    street.put("runs", state="pending")
    street.gate.listed()
    assert street.woken == []
    street.change("runs", completion_s=9.0)
    assert street.woken == ["waits"]
    assert street.gate.enter(waits)


def test_whoever_needs_no_slot_waits_for_nobody_to_count() -> None:
    street = Street()
    assert street.gate.enter(street.put("free"))
    assert not street.gate.enter(street.put("limited", max_concurrency=1))


def test_a_standby_looks_and_gives_nothing() -> None:
    street = Street(max_concurrency=1)
    street.gate.listed()
    street.put("a")
    street.put("b")
    assert street.woken == []
    assert street.gate.waiting == 2
    street.gate.open()
    assert street.woken == ["a"]
    street.gate.close()
    street.change("a", completion_s=9.0)
    assert street.woken == ["a"]
    street.gate.open()
    assert street.woken == ["a", "b"]


def test_what_was_given_is_held_until_the_end_whatever_old_views_say() -> None:
    """Given, started, and then an old view, aborted without a pod in sight, or one that waits again: it counts."""
    street = Street(max_concurrency=1)
    street.gate.listed()
    street.gate.open()
    a, b = street.put("a"), street.put("b")
    assert street.gate.enter(a)
    for seen in ({"state": "pending"}, {"state": "triggered"}, {"state": "aborted"}):
        street.change("a", **seen)
        assert not street.gate.enter(b)
    street.change("a", completion_s=9.0)
    assert street.gate.enter(b)


def test_one_that_could_not_start_lets_others_pass_and_comes_back() -> None:
    street = Street(max_concurrency=1)
    street.gate.listed()
    street.gate.open()
    a, b = street.put("a"), street.put("b")
    assert street.gate.enter(a)
    street.gate.leave("a")
    assert street.woken == ["a", "b"]
    assert not street.gate.enter(a)
    street.change("b", completion_s=9.0)
    assert street.woken == ["a", "b", "a"]
    assert b.name == "b"


def test_a_pod_that_may_exist_counts_until_its_cluster_is_listed() -> None:
    street = Street(max_concurrency=1)
    street.pods["a"] = "unknown"
    street.gate.listed()
    street.gate.open()
    street.put("a")
    b = street.put("b")
    assert not street.gate.enter(b)
    street.pods["a"] = "absent"
    street.gate.look("a")
    assert street.woken == ["a"]
    street.jobs.pop("a")
    street.gate.look("a")
    assert street.woken == ["a", "b"]


def test_what_another_process_did_unseen_counts() -> None:
    """A listing shows what no watch has shown: the job holds its slots, and is told to look."""
    street = Street(max_concurrency=1)
    street.gate.listed()
    a = street.put("a")
    street.put("b")
    street.gate.keep(msgspec.structs.replace(a, state="pending"))
    street.gate.open()
    assert street.woken == ["a"]
    assert not street.gate.enter(street.jobs["b"])
