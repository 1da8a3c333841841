"""Runs git. Blocks; call it in a worker thread.

Nothing of the user's or the system's git configuration counts, nobody is ever asked for a password, only the
protocols named work, and a command that takes too long is ended with all it started.
"""

import base64
import contextlib
import os
import re
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from prow_async.api.errors import CannotStart, Refused, Retry

LOCAL_TIMEOUT_S = 60.0
REMOTE_TIMEOUT_S = 600.0
LONGEST_BYTES = 256 << 20
"""Of what a command may print: the list of a million files, say. Small trees can be written that list as billions."""
_TOLD_BYTES = 64 << 10
"""Of the last errors."""
_PASSED_ON = (
    "PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSH_COMMAND",
    "SSH_AUTH_SOCK",
)
_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_AUTHOR_NAME": "prow",
    "GIT_AUTHOR_EMAIL": "prow@localhost",
    "GIT_AUTHOR_DATE": "946684800 +0000",
    "GIT_COMMITTER_NAME": "prow",
    "GIT_COMMITTER_EMAIL": "prow@localhost",
    "GIT_COMMITTER_DATE": "946684800 +0000",
}
_CONFIG = {
    "core.hooksPath": os.devnull,
    "protocol.ext.allow": "never",
    "core.askPass": "true",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}
_DAMAGE = re.compile(
    r"bad object|corrupt|not a git repository|unable to read|broken|loose object|packfile|unable to (?:create|write)"
    r"|bad config|read-only|no space|index file .* is too small|'origin' does not appear to be a git repository",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"could not resolve|connection|timed out|timeout|early eof|hung up|rpc failed|too slow|temporarily|try again"
    r"|failed to connect|network|empty reply|returned error: (?:429|5\d\d)|HTTP (?:429|5\d\d)|gnutls|ssl_|openssl",
    re.IGNORECASE,
)


def _anonymous(_org: str) -> str:
    return ""


class Remote(msgspec.Struct, frozen=True):
    """Where repositories are fetched from.

    `base` is the part before `/ORG/REPO.git`: https, http, ssh or file. `token` is asked at each use, for an
    organization; "" is anonymous. It may raise what ports/github raises.
    """

    base: str
    token: Callable[[str], str] = _anonymous

    def url(self, org: str, repo: str) -> str:
        return f"{self.base.rstrip('/')}/{org}/{repo}.git"


class Failed(Exception):
    """git ended with an error. `said` is its last words, on one line, without the token."""

    def __init__(self, verb: str, code: int, said: str) -> None:
        super().__init__(f"git {verb} ended with {code}: {said}")
        self.code = code
        self.said = said

    def as_refusal(self, what: str) -> "Refused | Retry | Failed":
        """Return what the caller's move is: to try again after trouble on the way, else to leave it.

        Trouble with the repository on disk is no answer of the remote's: the failure itself comes back.
        """
        why = f"{what}: {self.said or self}"
        if _DAMAGE.search(self.said):
            return self
        return Retry(why) if _TROUBLE.search(self.said) else Refused(why)


class TooMuch(Refused):
    """A command prints more than its caller can take."""


class Git:
    """git on one repository.

    Args:
        folder: the (bare) repository; it need not be there yet.
        org: whose repository it is.
    """

    def __init__(self, folder: Path, remote: Remote, org: str) -> None:
        self._folder = folder
        self._org = org
        self._remote = remote

    def run(
        self,
        *arguments: str,
        input: bytes = b"",
        ok: Sequence[int] = (0,),
        timeout_s: float = LOCAL_TIMEOUT_S,
        limit_bytes: int = LONGEST_BYTES,
    ) -> tuple[int, bytes]:
        """Run a command to its end; return its exit code, one of `ok`, and what it printed.

        Raises: Failed for another exit code, Retry when it took too long, CannotStart when there is no git, TooMuch
            when it prints more than `limit_bytes`; no more than these are held.
        """
        token = self._remote.token(self._org)
        env = self._environment(token)
        command = ["git", f"--git-dir={self._folder}", *arguments]
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; arguments are ours or checked
                command,
                env=env,
                cwd=self._folder.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise CannotStart("git is not there: install it, or put it on PATH") from error
        except OSError as error:  # as many processes as there may be, no memory
            raise Retry(f"git {arguments[0]} cannot be started: {error.strerror or error}") from error
        try:
            out, err = _talk(process, input, timeout_s, limit_bytes)
        except subprocess.TimeoutExpired as error:
            raise Retry(f"git {arguments[0]} did not end within {timeout_s:.0f} s") from error
        finally:
            _end(process)
        if process.returncode not in ok:
            raise Failed(arguments[0], process.returncode, _last_words(err, token))
        return process.returncode, out

    def _environment(self, token: str) -> dict[str, str]:
        env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _FIXED
        env["HOME"] = str(self._folder.parent)
        scheme, _, _ = self._remote.base.partition("://")
        env["GIT_ALLOW_PROTOCOL"] = scheme
        settings = dict(_CONFIG)
        if token and scheme in {"http", "https"}:
            pair = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            settings[f"http.{self._remote.base.rstrip('/')}/.extraHeader"] = f"Authorization: Basic {pair}"
        env["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
        return env


def _talk(process: subprocess.Popen[bytes], input: bytes, timeout_s: float, limit_bytes: int) -> tuple[bytes, bytes]:
    """Do what Popen.communicate does, within bounds. Raises TooMuch, TimeoutExpired."""
    until_s, left = time.monotonic() + timeout_s, memoryview(input)
    out, err = bytearray(), bytearray()
    assert process.stdin is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdin, selectors.EVENT_WRITE)
        for stream, taken in ((process.stdout, out), (process.stderr, err)):
            assert stream is not None
            waiting.register(stream, selectors.EVENT_READ, taken)
        while waiting.get_map():
            ready = waiting.select(max(0.0, until_s - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(process.args, timeout_s)
            for key, _ in ready:
                if key.data is None:
                    left = _written(key.fd, left)
                    if not left:
                        waiting.unregister(process.stdin)
                        process.stdin.close()
                elif said := os.read(key.fd, 1 << 16):
                    key.data.extend(said)
                else:
                    waiting.unregister(key.fd)
            del err[:-_TOLD_BYTES]
            if len(out) > limit_bytes:
                raise TooMuch(f"what git prints is larger than {limit_bytes} bytes")
    process.wait(max(0.0, until_s - time.monotonic()))
    return bytes(out), bytes(err)


def _written(pipe: int, left: memoryview) -> memoryview:
    """Write what a pipe that is ready takes at once; return what is left, nothing where nobody reads it."""
    try:
        return left[os.write(pipe, left[: select.PIPE_BUF]) :] if left else left
    except BrokenPipeError:
        return left[:0]


def _last_words(err: bytes, token: str) -> str:
    text = err.decode(errors="replace")
    if token:
        text = text.replace(token, "*****")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or lines
    return "; ".join(told[-3:])[:500]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the command and of all it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@cache
def version() -> tuple[int, ...]:
    """Return git's version. Raises CannotStart when there is no git."""
    try:
        said = subprocess.run(
            ["git", "--version"],  # noqa: S607 - the git of PATH, as everywhere
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart("git is not there, or does not run: install it, or put it on PATH") from error
    found = re.search(r"(\d+(?:\.\d+)+)", said)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()
