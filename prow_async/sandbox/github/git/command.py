"""Runs git on one bare repository. Blocks; call it in a worker thread.

Nothing of the user's or the system's git configuration counts, output is bounded, and a command that takes too long is
ended with all it started.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from prow_async.api.errors import CannotStart
from prow_async.sandbox.github.refusal import Refusal

OLDEST = (2, 38)
"""The first version of git that merges without a work tree."""
TIMEOUT_S = 120.0
OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024
SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "receive.fsckObjects": "true",
    "receive.hideRefs": "refs/pull",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "protocol.allow": "never",
    "pack.threads": "1",
    "pack.windowMemory": "64m",
    "safe.directory": "*",
}
"""git's configuration for every command. `refs/pull` may be fetched but not pushed, as on GitHub."""


class Failed(Exception):
    """git ended with an error. `said` is its last words on one line."""

    def __init__(self, verb: str, code: int, said: str) -> None:
        super().__init__(f"git {verb} ended with {code}: {said}")
        self.code = code
        self.said = said


def require() -> None:
    """Raise CannotStart where there is no git, or one that cannot merge without a work tree. Blocks."""
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S607
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart("git is not there, or does not run: install it, or put it on PATH") from error
    found = re.search(r"(\d+)\.(\d+)", said.stdout)
    if found is None or tuple(map(int, found.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise CannotStart(
            f"git {oldest} or newer is needed for merges without a work tree; this is {said.stdout.strip()}"
        )


def environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the whole environment of a git command; `extra` joins it."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_CONFIG_COUNT": str(len(SETTINGS)),
    }
    for number, (key, value) in enumerate(SETTINGS.items()):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return {**env, **extra}


class Git:
    """git on one bare repository; the folder need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self,
        *arguments: str,
        input: bytes | IO[bytes] = b"",
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] = {},
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> bytes:
        """Run a command to its end; return what it printed. `input` is bytes or an open file, read from its start.

        Raises: Failed for an exit code not in `ok`, Refusal (422) for more than `limit_bytes` of output, CannotStart
        without git.
        """
        return self.run_coded(*arguments, input=input, ok=ok, env=env, limit_bytes=limit_bytes)[1]

    def run_coded(
        self,
        *arguments: str,
        input: bytes | IO[bytes] = b"",
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] = {},
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[int, bytes]:
        """Run a command as `run` does; return its exit code, one of `ok`, beside what it printed.

        One that takes longer than `timeout_s` is killed, its code is negative.
        """
        with tempfile.TemporaryFile() as err, _opened(input) as given:
            try:
                process = subprocess.Popen(  # noqa: S603 - no shell; arguments are ours or checked
                    ["git", f"--git-dir={self.folder}", *arguments],  # noqa: S607 - the git of PATH
                    env=environment(env),
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=err,
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise CannotStart("git is not there: install it, or put it on PATH") from error
            deadline = threading.Timer(timeout_s, _end, [process])
            deadline.start()
            try:
                assert process.stdout is not None
                out = process.stdout.read(limit_bytes + 1)
                if len(out) > limit_bytes:
                    raise Refusal(422, "The answer is too large.")
                process.wait()
            finally:
                deadline.cancel()
                _end(process)
                assert process.stdout is not None
                process.stdout.close()
            if process.returncode not in ok:
                raise Failed(arguments[0], process.returncode, _last_words(err))
            return process.returncode, out

    def text(self, *arguments: str, input: bytes = b"", env: Mapping[str, str] = {}) -> str:
        """Run a command that prints one short text; return it stripped."""
        return self.run(*arguments, input=input, env=env).decode(errors="replace").strip()


@contextmanager
def _opened(input: bytes | IO[bytes]) -> Iterator[IO[bytes] | int]:
    if isinstance(input, bytes):
        if not input:
            yield subprocess.DEVNULL
            return
        with tempfile.TemporaryFile() as file:
            file.write(input)
            file.seek(0)
            yield file
        return
    input.seek(0)
    yield input


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the command and of all it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_words(err: IO[bytes]) -> str:
    err.seek(0)
    text = err.read(64 * 1024).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return "; ".join(told[-3:])[:500]
