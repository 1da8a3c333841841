"""Prints a story as it happens: what the log, the watches and the small GitHub show, each with its time."""

import os
import sys
import time
from collections.abc import MutableMapping
from typing import Any

from prow_async.actors.store import Change
from prow_async.api.views import JobView, PodView
from prow_async.apps import all_in_one


class Teller:
    """Prints what happens, each line with its time since the last webhook was sent."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self.passed_ms = 0.0
        """How long the chapter took, once `final` was called."""
        self.test_ms = 0.0
        """How long the last test's container ran, which is its wrapper and the test."""
        self._test_begun_s = 0.0
        self._pods: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.jobs: dict[str, str] = {}

    def begin(self, what: str) -> None:
        """Start a chapter: its first event happens now."""
        self._begin = time.perf_counter()
        print(f"\n{what}", flush=True)

    def final(self) -> None:
        """Note how long the chapter took until what it is about was there."""
        self.passed_ms = 0.0 if self._begin is None else (time.perf_counter() - self._begin) * 1e3

    def say(self, text: str) -> None:
        since = "" if self._begin is None else f"{(time.perf_counter() - self._begin) * 1e3:8.1f} ms"
        first, *rest = text.splitlines() or [""]
        try:
            print(f"  {since:>11}  {first}", *(f"{'':>15}{line}" for line in rest), sep="\n", flush=True)
        except BrokenPipeError:  # the reader has enough; the story goes on, and its end still counts
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def logged(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        """Stand in for the log: tell what a person wants to know, and every warning."""
        match event.get("event"):
            case "webhook accepted" if event["event_type"] in {"pull_request", "push", "ping"}:
                self.say(f"delivery {event['event-GUID']} accepted ({event['event_type']}), durable")
            case "decided" if event["actions"]:
                self.say(f"{event['plugin']} decided: {event['why']}")
            case "periodic started":
                self.say(f"horologium: {event['job']}: {event['why']}")
            case "reported":
                self.say(f"{event['job']}: {event['reporter']}: {event['why']}")
            case "container started" if event["container"] == all_in_one.CONTAINER:
                self._test_begun_s = time.perf_counter()
            case "container ended" if event["container"] == all_in_one.CONTAINER:
                self.test_ms = (time.perf_counter() - self._test_begun_s) * 1e3
            case message if name in {"warning", "error", "critical"}:
                rest = {key: value for key, value in event.items() if key not in {"event", "exc_info"}}
                self.say(f"{name}: {message} {rest}")
        return ""

    def job(self, change: Change[JobView]) -> None:
        if change.new is None:
            return
        job, before = change.new, change.old
        self.jobs[job.name] = job.job
        if before is None:
            self.say(f"{job.job}: ProwJob {job.name} created, {job.state}")
        elif before.state != job.state:
            self.states[job.job] = job.state
            text = f": {job.description}" if job.complete and job.description else ""
            self.say(f"{job.job}: ProwJob {job.state}{text}")

    def pod(self, change: Change[PodView]) -> None:
        pod = change.new
        if pod is None or self._pods.get(pod.name) == pod.phase:
            return
        known = pod.name in self._pods
        self._pods[pod.name] = pod.phase
        job = self.jobs.get(pod.job_name, pod.job_name)
        if not known:
            self.say(f"{job}: pod created")
        if pod.phase == "Running":
            self.say(f"{job}: container started")
        elif pod.phase in {"Succeeded", "Failed"}:
            codes = ", ".join(str(c.exit_code) for c in pod.containers)
            self.say(f"{job}: pod done: {pod.phase}, exit code {codes}")
