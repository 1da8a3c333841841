"""Programs that make promises, one a line, and are killed amid them."""

import signal
import subprocess
import sys
import threading

PATIENCE_S = 60


def kill_after(words: int, victim: str, *arguments: object) -> list[tuple[str, str, str]]:
    """Run a module of this folder until it has said `words` lines of three words, kill it, return all it said whole."""
    command = [sys.executable, "-m", f"tests.contract.{victim}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(PATIENCE_S, process.kill)
        watchdog.start()
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if len(said) == words:
                process.send_signal(signal.SIGKILL)
        watchdog.cancel()
        assert process.wait() == -signal.SIGKILL
    found = [line.split() for line in said if line.endswith("\n")]
    return [(word, first, second) for word, first, second in (line for line in found if len(line) == 3)]
