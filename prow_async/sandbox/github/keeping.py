"""The world written to a file, and read back when the process starts again.

Kept: people, organizations, repositories with all that is said in them, and the newest deliveries. Not kept: tokens and
sessions, budgets, and what git has anyway.
"""

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.api.errors import CannotStart
from prow_async.sandbox.github import ground, landing
from prow_async.sandbox.github.outbox import Delivery
from prow_async.sandbox.github.records import Account, App, Organization, Repository
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.steps import Steps, Turn
from prow_async.sandbox.github.world import World

log = structlog.get_logger()

FORMAT = "prow-async small GitHub"
VERSION = 1
EVERY_S = 1.0
"""So often a changed world is written."""
DELIVERIES_LIMIT = 200
"""So many tried deliveries are kept."""


class _Head(msgspec.Struct):
    format: str
    version: int


class _State(_Head):
    counter: int
    accounts: list[Account]
    organizations: list[Organization]
    repositories: list[Repository]
    apps: list[App]
    next_delivery: int
    tried: list[Delivery]
    waiting: list[Delivery]


def dump(world: World) -> bytes:
    """Render the world as it is now. Tokens are not in it; webhook secrets are."""
    nothing: dict[str, object] = {"comments": {}, "commits": {}, "pushes": {}, "compared": {}}
    if world.git is None:
        del nothing["commits"]
    outbox = world.outbox
    state = _State(
        FORMAT,
        VERSION,
        world.next_id(),
        list(world.accounts.values()),
        list(world.organizations.values()),
        [msgspec.structs.replace(repo, **nothing) for repo in world.repositories.values()],
        list(world.apps.values()),
        outbox.next_number(),
        outbox.log()[-DELIVERIES_LIMIT:],
        outbox.waiting(),
    )
    return msgspec.msgpack.encode(state)


def restore(world: World, data: bytes) -> None:
    """Fill an empty world. Raises CannotStart for what is no state, or one of another version."""
    try:
        head = msgspec.msgpack.decode(data, type=_Head)
        if head.format != FORMAT:
            raise CannotStart("it is not the state of a small GitHub")
        if head.version != VERSION:
            raise CannotStart(f"its format is {head.version}, and this version reads {VERSION}")
        state = msgspec.msgpack.decode(data, type=_State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CannotStart(f"it is damaged: {error}") from error
    world.skip_ids(state.counter)
    world.accounts = {account.login.lower(): account for account in state.accounts}
    for org in state.organizations:
        org.account = world.accounts[org.account.login.lower()]
        org.members = {login: world.accounts[login] for login in org.members}
        world.organizations[org.account.login.lower()] = org
    for repo in state.repositories:
        said = ((record, one) for record in repo.issues.values() for one in record.comments)
        repo.comments = {one.id: (record, one) for record, one in said}
        world.repositories[(repo.org.lower(), repo.name.lower())] = repo
    for app in state.apps:
        app.account = world.accounts[app.account.login.lower()]
        world.apps[app.id] = app
    _restore_deliveries(world, state)


def _restore_deliveries(world: World, state: _State) -> None:
    lists = [owner.hooks for owner in world.organizations.values()]
    lists += [owner.hooks for owner in world.repositories.values()]
    lists += [[app.hook] for app in world.apps.values() if app.hook is not None]
    hooks = {hook.id: hook for listed in lists for hook in listed}
    for delivery in (*state.tried, *state.waiting):
        delivery.hook = hooks.get(delivery.hook.id, delivery.hook)
    world.outbox.restore(state.next_delivery, state.tried, state.waiting)


def catch_up(world: World, now_s: float) -> Steps[None]:
    """Tell of what git was pushed after the state was written, and read the commits that are shown."""
    if world.git is None:
        return
    for repo in list(world.repositories.values()):
        yield Turn(world.git.lock(repo.org, repo.name))
        yield from landing.settle(world, repo, repo.org, now_s)
        shown = {record.pull.head_sha for record in repo.issues.values() if record.pull and record.closed_s is None}
        for sha in [*repo.refs.values(), *shown][:1000]:
            with contextlib.suppress(Refusal):  # a head that is gone from git is shown by its name alone
                yield from ground.known(world, repo, sha)


def read(path: Path) -> bytes | None:
    """Read a state; None when there is none. Blocks. Raises CannotStart when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotStart(f"{path} cannot be read: {error.strerror}") from error


def write(path: Path, data: bytes) -> None:
    """Put a state in place of the one before, whole or not at all. Blocks. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@asynccontextmanager
async def kept(world: World, path: Path) -> AsyncIterator[None]:
    """Write the world to a file whenever it has changed, and once more at the end.

    A write that fails is logged, and tried again.
    """
    written = -1

    async def save() -> None:
        nonlocal written
        if world.changes != written:
            now, data = world.changes, dump(world)
            try:
                await anyio.to_thread.run_sync(write, path, data)
            except OSError as error:
                log.error("the small GitHub's state cannot be written", path=str(path), error=error.strerror)
            else:
                written = now

    async def keep() -> None:
        while True:
            await save()
            await anyio.sleep(EVERY_S)

    async with anyio.create_task_group() as group:
        group.start_soon(keep)
        try:
            yield
        finally:
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await save()
