"""Follows one pod to its end for a person: its steps, its log as it is written, and how it ended."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import anyio
import anyio.abc
import msgspec

from prow_async.api.errors import Expired, Missing, Refused, Retry
from prow_async.api.views import ContainerView, PodView
from prow_async.core import podview, watch
from prow_async.ports.kube import Collection, PodLogs

SIDECAR = "sidecar"
_AGAIN_S = 0.5
_REMIND_AFTER_S = 5.0
"""A pod of which nothing runs by then has somebody wonder why."""
_FINAL = frozenset({"Succeeded", "Failed"})


class Display(Protocol):
    """Shows a person what happens. `name` is a container's."""

    def begun(self, name: str) -> None: ...
    def ended(self, name: str, exit_code: int, reason: str) -> None: ...
    def log(self, name: str, piece: bytes) -> None: ...
    def note(self, text: str) -> None: ...


class Ending(msgspec.Struct, frozen=True):
    """How a pod ended: the first exit code of a test that is not 0, else that of another container; and why."""

    exit_code: int
    why: str = ""


class _Known(msgspec.Struct):
    running: bool = False
    over: bool = False


async def follow(pods: Collection, logs: PodLogs, pod: PodView, display: Display) -> Ending:
    """Follow a pod until it has ended and its log is shown. Raises Refused, and Missing when it is deleted."""
    return await _Follower(pods, logs, pod, display).run()


class _Follower:
    def __init__(self, pods: Collection, logs: PodLogs, pod: PodView, display: Display) -> None:
        self._pods = pods
        self._logs = logs
        self._pod = pod
        self._display = display
        self._known: dict[str, _Known] = {}
        self._told = ""

    async def run(self) -> Ending:
        async with anyio.create_task_group() as tasks, contextlib.aclosing(self._states()) as states:
            reminder = anyio.CancelScope()
            tasks.start_soon(self._remind, reminder)
            async for raw in states:
                self._pod = podview.read(raw)
                self._step(raw, tasks)
                if self._pod.phase in _FINAL:
                    break
            reminder.cancel()
        failed = next((one for one in self._pod.containers if one.exit_code), None)
        if failed is not None and not _is_test(failed):
            await self._last_words(failed)
        return ending(self._pod)

    async def _remind(self, scope: anyio.CancelScope) -> None:
        """Say where to look when nothing of the pod runs: what it waits for may stand in its events alone."""
        with scope:
            await anyio.sleep(_REMIND_AFTER_S)
            if not any(known.running for known in self._known.values()):
                where = f"kubectl --namespace {self._pod.namespace} describe pod {self._pod.name}"
                self._display.note(f"nothing of the pod runs yet; what it waits for: {where}")

    async def _states(self) -> AsyncGenerator[bytes, None]:
        """Yield the pod, now and after each change."""
        while True:
            try:
                raw = await self._pods.get(self._pod.name)
                yield raw
                seen = podview.read(raw)
                async with self._pods.watch(seen.resource_version, initial=False) as pieces:
                    async for changed in _objects(pieces, self._pod.name):
                        yield changed
            except (Retry, Expired, watch.Broken) as error:
                wait_s = error.after_s if isinstance(error, Retry) else None
                self._display.note(f"waiting for the cluster: {error}")
                await anyio.sleep(wait_s or _AGAIN_S)

    def _step(self, raw: bytes, tasks: anyio.abc.TaskGroup) -> None:
        running = _running(raw)
        for container in self._pod.containers:
            known = self._known.setdefault(container.name, _Known())
            over = container.exit_code is not None
            if not known.running and (over or container.name in running):
                known.running = True
                self._display.begun(container.name)
                if _is_test(container):
                    tasks.start_soon(self._show, container.name)
            if over and not known.over:
                known.over = True
                self._display.ended(container.name, container.exit_code or 0, container.terminated_reason)
            if container.waiting_message and container.waiting_message != self._told:
                self._told = container.waiting_message
                self._display.note(f"{container.name} waits: {container.waiting_message}")

    async def _show(self, name: str) -> None:
        """Show a container's log to its end; go on where it broke off."""
        shown = 0
        while True:
            try:
                async with self._logs.follow(self._pod.namespace, self._pod.name, name) as pieces:
                    passed = 0
                    async for piece in pieces:
                        fresh = piece[max(0, shown - passed) :]
                        passed += len(piece)
                        if fresh:
                            shown += len(fresh)
                            self._display.log(name, fresh)
                return
            except Retry:
                await anyio.sleep(_AGAIN_S)
            except (Missing, Refused) as error:
                self._display.note(f"the log of {name} cannot be read: {error.why}")
                return

    async def _last_words(self, container: ContainerView) -> None:
        """Show the log of a step that failed before or after the test, and what failed of the clone it fails for."""
        if container.name == "initupload" and any(one.name == "clonerefs" for one in self._pod.containers):
            await self._show_failures("clonerefs")
        await self._show(container.name)

    async def _show_failures(self, name: str) -> None:
        """Show an ended container's log without the lines in which all is well."""
        try:
            async with self._logs.follow(self._pod.namespace, self._pod.name, name) as pieces:
                left = b""
                async for piece in pieces:
                    *lines, left = (left + piece).split(b"\n")
                    for line in lines:
                        if b'"level":"info"' not in line:
                            self._display.log(name, line + b"\n")
        except (Retry, Missing, Refused) as error:
            self._display.note(f"the log of {name} cannot be read: {error.why}")


def _is_test(container: ContainerView) -> bool:
    return not container.init and container.name != SIDECAR


def ending(pod: PodView) -> Ending:
    """Say how a pod that has ended did."""
    failed = [one for one in pod.containers if one.exit_code]
    tests = [one for one in failed if _is_test(one)]
    if tests or failed:
        worst = (tests or failed)[0]
        reason = f" ({worst.terminated_reason})" if worst.terminated_reason not in ("", "Error") else ""
        step = "" if tests else f"{worst.name} "
        return Ending(worst.exit_code or 1, f"{step}ended with {worst.exit_code}{reason}")
    if pod.phase == "Succeeded":
        return Ending(0)
    return Ending(1, f"{pod.reason}: {pod.message}".strip(": ") or "the pod failed")


def _running(raw: bytes) -> set[str]:
    status = msgspec.json.decode(raw, type=_Raw).status
    listed = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    return {one.name for one in listed if one.state.running is not None}


class _RawState(msgspec.Struct, frozen=True):
    running: dict[str, object] | None = None


class _RawContainer(msgspec.Struct, frozen=True):
    name: str
    state: _RawState = _RawState()


class _RawStatus(msgspec.Struct, frozen=True, rename="camel"):
    init_container_statuses: list[_RawContainer] | None = None
    container_statuses: list[_RawContainer] | None = None


class _Raw(msgspec.Struct, frozen=True):
    status: _RawStatus = _RawStatus()


async def _objects(pieces: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
    """Yield the pod from each line of a watch that is about it.

    Raises Missing when it is gone, Expired at an error, watch.Broken for what is no watch.
    """
    lines = watch.Lines()
    async for piece in pieces:
        for frame in lines.feed(piece):
            if frame.type == "ERROR":
                raise Expired(watch.stream_error(frame).message or "the watch ended")
            if frame.type == "BOOKMARK" or podview.read(frame.object).name != name:
                continue
            if frame.type == "DELETED":
                raise Missing(f"pod {name} was deleted")
            yield bytes(frame.object)
