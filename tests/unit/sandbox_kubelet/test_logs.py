"""Container logs: bounded, followed while they grow, found by name, safe against hostile names."""

import os
from pathlib import Path

import anyio
import pytest

from prow_async.api.errors import Missing, Refused
from prow_async.sandbox.kubelet import folders, logs
from tests.unit.sandbox_kubelet.pods import UID

pytestmark = pytest.mark.anyio
FOLDER = folders.of_pod("ns", "p", UID) or ""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).mkdir()
    return tmp_path


async def read(source: logs.Logs, pod: str = "p", container: str = "c", follow: bool = False) -> bytes:
    return b"".join([piece async for piece in source.follow("ns", pod, container, follow)])


async def test_a_full_log_goes_on_in_a_new_file(root: Path) -> None:
    """The last five files are kept and read as one text."""
    source = logs.Logs(root, limit_bytes=10)
    log = source.open(FOLDER, "c")
    log.write(b"0123456789" * 4 + b"abc")
    assert await read(source) == b"0123456789" * 4 + b"abc"
    log.write(b"defghijKLM")
    source.close(FOLDER, "c")
    assert logs.parts(root / FOLDER / "c.log") == [1, 2, 3, 4, 5]
    assert await read(source) == b"0123456789" * 3 + b"abcdefghij" + b"KLM"
    assert logs.tail(root / FOLDER / "c.log") == "0123456789" * 3 + "abcdefghijKLM"


async def test_a_log_is_followed_from_file_to_file(root: Path) -> None:
    """Also by a reader that waits at the end of the old file while the new one begins."""
    source = logs.Logs(root, limit_bytes=4)
    log = source.open(FOLDER, "c")
    found: list[bytes] = []

    async def follower() -> None:
        found.extend([piece async for piece in source.follow("ns", "p", "c", True)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower)
        for piece in (b"0123", b"4567", b"89", b"ab", b"cdefgh", b"i"):
            await anyio.wait_all_tasks_blocked()
            log.write(piece)
        await anyio.wait_all_tasks_blocked()
        source.close(FOLDER, "c")
    assert b"".join(found) == b"0123456789abcdefghi"


async def test_following_ends_with_the_container(root: Path) -> None:
    """A follower sees what was written before it came, what comes later, and the end."""
    source = logs.Logs(root)
    log = source.open(FOLDER, "c")
    log.write(b"before ")
    found: list[bytes] = []

    async def follower() -> None:
        found.append(await read(source, follow=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower)
        await anyio.wait_all_tasks_blocked()
        log.write(b"after ")
        await anyio.wait_all_tasks_blocked()
        assert found == []
        log.write(b"last")
        source.close(FOLDER, "c")
    assert found == [b"before after last"]
    assert await read(source) == b"before after last"


async def test_logs_of_an_earlier_kubelet_are_found(root: Path) -> None:
    """The newest folder of the name counts, unless a pod of that name runs here."""
    (root / FOLDER / "c.log").write_bytes(b"old")
    assert await read(logs.Logs(root), follow=True) == b"old"
    newer = folders.of_pod("ns", "p", "second")
    assert newer is not None
    (root / newer).mkdir()
    (root / newer / "c.log").write_bytes(b"new")
    os.utime(root / newer, (2e9, 2e9))
    source = logs.Logs(root)
    assert await read(source) == b"new"
    source.begin(FOLDER)
    assert await read(source) == b"old"
    source.forget(FOLDER)
    assert await read(source) == b"new"


@pytest.mark.parametrize(
    ("pod", "container", "error"),
    [
        ("q", "c", Missing),
        ("p", "d", Refused),
        ("..", "c", Missing),
        ("p/../p", "c", Missing),
        ("p", "../../etc/passwd", Missing),
        ("p", "", Missing),
    ],
)
async def test_what_has_no_log(root: Path, pod: str, container: str, error: type[Exception]) -> None:
    """Missing for pods that have not run here, Refused for containers not started; no name leaves the root."""
    with pytest.raises(error):
        await read(logs.Logs(root), pod, container)


async def test_a_root_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        await read(logs.Logs(tmp_path / "none"))


@pytest.mark.parametrize(
    ("content", "tail"),
    [
        (b"", ""),
        (b"a\nb\n", "a\nb\n"),
        (b"x\n" * 100, "x\n" * 80),
        (b"y" * 3000, "y" * 2048),
        (b"\xff\n", "\N{REPLACEMENT CHARACTER}\n"),
    ],
)
async def test_the_tail_of_a_log(tmp_path: Path, content: bytes, tail: str) -> None:
    """At most 80 lines and 2,048 bytes."""
    (tmp_path / "l").write_bytes(content)
    assert logs.tail(tmp_path / "l") == tail


async def test_a_missing_log_has_no_tail(tmp_path: Path) -> None:
    assert logs.tail(tmp_path / "none") == ""
    assert logs.left_message(tmp_path / "none") == ""
