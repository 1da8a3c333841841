"""What both doors do alike: send a watch's lines as they come, and read a pod's log. anyio only."""

import collections
import contextlib
from collections.abc import AsyncGenerator, Callable

import anyio

from prow_async.api import errors
from prow_async.sandbox.kube import exchange, logs, status, watches
from prow_async.sandbox.kube.world import Outcome, World

BOOKMARK_EVERY_S = 60.0
LONGEST_WATCH_S = 1800.0


async def answered(world: World, request: exchange.Request, now: Callable[[], float]) -> Outcome:
    """Have a world handle a request; return what comes of it once all it may tell of is kept safe."""
    keeper = world.keeper
    if keeper is None:
        return world.handle(request, now())
    outcome: Outcome | None = None
    try:
        await keeper.ready(world)
        outcome = world.handle(request, now())
        await keeper.settled()
    except status.Refusal as refusal:
        if isinstance(outcome, watches.Watch):
            outcome.close()
        return exchange.Answer.no(refusal)
    except BaseException:
        if isinstance(outcome, watches.Watch):
            outcome.close()
        raise
    return outcome


async def _kept(world: World) -> bool:
    """Wait until all there is to tell is kept safe; False when it cannot be."""
    try:
        if world.keeper is not None:
            await world.keeper.settled()
    except status.Refusal:
        return False
    return True


async def lines(world: World, watch: watches.Watch) -> AsyncGenerator[list[bytes], None]:
    """Yield the lines of a watch, as many as there are at a time, until it ends; then it is closed.

    A watch that takes bookmarks gets one each minute and one before its time is up.
    """
    bell = anyio.Event()

    def ring() -> None:
        bell.set()

    watch.on_ready = ring
    deadline = anyio.current_time() + (watch.timeout_s or LONGEST_WATCH_S)
    next_mark = anyio.current_time() + BOOKMARK_EVERY_S
    try:
        while True:
            bell = anyio.Event()
            waiting = watch.take()
            if waiting:
                if not await _kept(world):
                    return
                yield waiting
                continue
            if watch.closed:
                return
            with anyio.move_on_at(min(deadline, next_mark)):
                await bell.wait()
            due = anyio.current_time() >= next_mark
            late = anyio.current_time() >= deadline
            if watch.bookmarks and (due or late) and not watch.closed:
                watch.bookmark(world.version)
            if due:
                next_mark = anyio.current_time() + BOOKMARK_EVERY_S
            if late:
                watch.close()
    finally:
        watch.close()


async def log(source: logs.LogSource | None, ask: exchange.LogRequest) -> AsyncGenerator[bytes, None]:
    """Yield what was asked of a log.

    Raises:
        status.Refusal: at the first step, when there is nothing to read.
    """
    if source is None:
        raise status.Refusal(404, "NotFound", "this server keeps no logs: no kubelet runs beside it")
    left = ask.limit_bytes
    try:
        async with contextlib.aclosing(_wanted(source, ask)) as pieces:
            async for piece in pieces:
                yield piece if left is None else piece[:left]
                if left is not None:
                    left -= min(left, len(piece))
                    if not left:
                        return
    except errors.Missing as error:
        raise status.Refusal(404, "NotFound", error.why) from error
    except errors.Refused as error:
        raise status.bad_request(error.why) from error


async def _wanted(source: logs.LogSource, ask: exchange.LogRequest) -> AsyncGenerator[bytes, None]:
    skip_bytes = 0
    if ask.tail_lines is not None:
        tail, size_bytes = await _tail(source, ask, ask.tail_lines)
        if not ask.follow:
            yield tail
            return
        skip_bytes = size_bytes - len(tail)
    async with contextlib.aclosing(_closable(source, ask, ask.follow)) as pieces:
        async for piece in pieces:
            yield piece[skip_bytes:]
            skip_bytes -= min(skip_bytes, len(piece))


async def _closable(source: logs.LogSource, ask: exchange.LogRequest, follow: bool) -> AsyncGenerator[bytes, None]:
    """Close the source's iterator with this one, where it can be closed."""
    pieces = source.follow(ask.namespace, ask.pod, ask.container, follow)
    try:
        async for piece in pieces:
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


async def _tail(source: logs.LogSource, ask: exchange.LogRequest, count: int) -> tuple[bytes, int]:
    """Return the last lines of what is written now, and the size of all of it in bytes."""
    kept: collections.deque[bytes] = collections.deque(maxlen=count)
    rest, size_bytes = b"", 0
    async with contextlib.aclosing(_closable(source, ask, False)) as pieces:
        async for piece in pieces:
            size_bytes += len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            kept.extend(line + b"\n" for line in whole)
    if rest:
        kept.append(rest)
    return b"".join(kept), size_bytes
