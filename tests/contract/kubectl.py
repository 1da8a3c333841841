"""kubectl, as a person runs it, for tests that need one."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import PIPE

import anyio
import anyio.abc
import msgspec
from anyio.streams.text import TextReceiveStream

from tests.contract.kube_targets import Json, Target
from tests.tools import install

WITHIN_S = 60.0


class Said(msgspec.Struct, frozen=True):
    """What a run of kubectl came to."""

    code: int
    out: str
    err: str


class Kubectl:
    def __init__(self, target: Target, cache: Path) -> None:
        self._command = [
            str(install.folder() / "kubectl"),
            f"--kubeconfig={target.kubeconfig}",
            f"--namespace={target.namespace}",
            f"--cache-dir={cache}",
        ]

    async def __call__(self, *arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
        """Run kubectl to its end; return what it printed. Raises CalledProcessError; warnings fail the test."""
        with anyio.fail_after(WITHIN_S):
            done = await anyio.run_process([*self._command, *arguments], input=stdin.encode(), env=env)
        assert done.stderr == b"", done.stderr.decode()
        return done.stdout.decode()

    async def said(self, *arguments: str, stdin: str = "") -> Said:
        """Run kubectl to its end, whatever comes of it."""
        with anyio.fail_after(WITHIN_S):
            done = await anyio.run_process([*self._command, *arguments], input=stdin.encode(), check=False)
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    async def json(self, *arguments: str) -> Json:
        """Run kubectl for an object."""
        return msgspec.json.decode(await self(*arguments, "-o", "json"), type=Json)

    @contextlib.asynccontextmanager
    async def lines(self, *arguments: str) -> AsyncIterator[AsyncIterator[str]]:
        """Run kubectl and yield its output line by line; stop it in the end."""
        async with await anyio.open_process([*self._command, *arguments], stdout=PIPE, stderr=PIPE) as process:
            try:
                yield _lines(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


async def _lines(process: anyio.abc.Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    rest = ""
    async for text in TextReceiveStream(process.stdout):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            yield line
