"""The program as a user starts it: a subprocess, its output, its ports, its end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("prow-async")
PATIENCE_S = 60.0


def until(true: Callable[[], Any], what: str) -> Any:
    """Look again and again as a person would; return the first thing that is true."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_S:.0f} s: {what}")


def get(url: str, token: str = "", method: str = "GET", body: Any = None) -> tuple[int, bytes]:
    """Speak HTTP; return status and body, whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """Post a body; return the status."""
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


class Up:
    """A running `prow-async up`."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self._output = output
        self.web = self._said(r"webhooks\s+(http\S+)/hook")
        self.metrics = self._said(r"metrics\s+(http\S+)/metrics")
        self.health = self._said(r"health\s+(http\S+)/healthz/ready")
        self.github = self._said(r"GitHub\s+(http\S+) ")
        self.token = Path(self._said(r"token in (\S+)\)")).read_text()

    def _said(self, pattern: str) -> str:
        def look() -> str | None:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.output()}")
            found = re.search(pattern, self.output())
            return found.group(1) if found else None

        return str(until(look, pattern))

    def output(self) -> str:
        return self._output.read_text()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the small GitHub's REST API as the bot."""
        status, answer = get(f"{self.github}{path}", self.token, method, body)
        assert status < 300, f"{method} {path}: {status} {answer!r}"
        return json.loads(answer) if answer else None

    def open_pull(self, branch: str, title: str) -> Any:
        """Push a branch with one commit and open a pull request of it."""
        repo = "/repos/octo-org/hello"
        base = self.api("GET", f"{repo}/git/ref/heads/main")["object"]["sha"]
        self.api("POST", f"{repo}/git/refs", {"ref": f"refs/heads/{branch}", "sha": base})
        content = {"message": title, "content": "aGk=", "branch": branch}
        self.api("PUT", f"{repo}/contents/{branch}.txt", content)
        return self.api("POST", f"{repo}/pulls", {"title": title, "head": branch, "base": "main"})

    def statuses(self, sha: str) -> dict[str, Any]:
        found = self.api("GET", f"/repos/octo-org/hello/commits/{sha}/status")["statuses"]
        return {status["context"]: status for status in found}

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


@contextlib.contextmanager
def up(folder: Path, *flags: str, data: bool = True) -> Iterator[Up]:
    """Start `prow-async up` on free ports with its data in `folder`; kill it in the end if it still runs.

    Args:
        data: name a --data-dir below `folder`; else the flags decide.
    """
    output = folder / "output"
    ports = ["--port=0", "--metrics-port=0", "--health-port=0"]
    command = [str(PROGRAM), "up", *ports, *([f"--data-dir={folder / 'data'}"] if data else []), *flags]
    with output.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield Up(process, output)
        finally:
            if process.poll() is None:
                process.kill()


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    command: Sequence[str] = [str(PROGRAM), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env={**os.environ, **(env or {})}
    )
