"""What catches webhooks that did not come: GitHub's delivery log, and open pull requests nobody looked at."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from prow_async.actors import backstop, recovery
from prow_async.actors.executor import Executor
from prow_async.actors.pull_index import PullIndex
from prow_async.core.enablement import Enablement
from prow_async.ports.clock import Clock
from prow_async.ports.config import Snapshot
from prow_async.ports.github import GitHub
from prow_async.ports.metrics import Metrics
from prow_async.runtime.supervisor import Service


class Box(recovery.Box, backstop.Box, Protocol):
    """The inbox, as both nets use it."""


class Nets(msgspec.Struct, frozen=True):
    """Which nets are out."""

    box: Box
    app: bool = False
    """We are a GitHub App: its own webhook's log is read."""
    hook_url: str = ""
    alone: bool = False
    """No other process takes webhooks of this installation."""
    log: bool = True
    heads_a_minute: int = backstop.A_MINUTE
    """So many heads are handed on in a minute; 0: none are looked at."""


class Around(msgspec.Struct, frozen=True):
    """What the nets need of the engine."""

    github: GitHub
    executor: Executor
    pulls: PullIndex
    snapshot: Callable[[], Snapshot]
    metrics: Metrics
    clock: Clock


def services(nets: Nets, around: Around, enablement: Enablement, installation: str) -> dict[str, Service]:
    """Make the services to run beside the hook."""
    found: dict[str, Service] = {}
    if nets.log:
        env = recovery.Env(around.snapshot, around.metrics, around.clock, nets.app, nets.hook_url, nets.alone)
        found["recovery"] = recovery.Recovery(nets.box, around.github, around.executor, env).run
    if nets.heads_a_minute > 0:
        about = backstop.Env(
            around.snapshot, around.metrics, around.clock, enablement, installation, nets.heads_a_minute
        )
        found["backstop"] = backstop.Backstop(nets.box, around.github, around.pulls, about).run
    return found
