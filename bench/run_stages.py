"""`prow-async run` with time stamps: `python -m bench.run_stages FILE WORD...` writes when which of its parts ended.

A part is what passed since the one before it ended, so all of them together are the whole.
"""

import functools
import sys
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any


class Stamps:
    """Times since the start of this process, the interpreter's own start included."""

    def __init__(self) -> None:
        self._last_s = _process_start_s()
        self.parts: list[dict[str, Any]] = []

    def end(self, name: str) -> None:
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.parts.append({"name": name, "ms": (now_s - self._last_s) * 1e3})
        self._last_s = now_s

    def after(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a stamp after it."""

        @functools.wraps(function)
        def stamped(*arguments: Any, **named: Any) -> Any:
            found = function(*arguments, **named)
            self.end(name)
            return found

        return stamped


def _process_start_s() -> float:
    """Return when this process began, on the clock since the machine's start; to 10 ms, as the kernel tells it."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / 100


def main() -> None:
    stamps = Stamps()
    stamps.end("interpreter")
    import structlog

    from prow_async.apps import run, run_display

    stamps.end("first imports")
    run._config = stamps.after("configuration, with the imports that read it and run pods", run._config)
    run._plan = stamps.after("plan, with the rest of the snapshot of --local", run._plan)

    def logged(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event.get("event") in {"container started", "container ended", "pod ended"}:
            stamps.end(f"{event['event']} {event.get('container', '')}".strip())
            raise structlog.DropEvent
        return event

    def set_up_logs() -> None:
        shown()
        structlog.configure(
            processors=[logged, *structlog.get_config()["processors"]],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )

    run._here = stamps.after("the pod", run._here)
    shown, run_display.set_up_logs = run_display.set_up_logs, set_up_logs
    code = run.main(sys.argv[2:])
    stamps.end("clearing up")
    import json

    Path(sys.argv[1]).write_text(json.dumps(stamps.parts))
    sys.exit(code)


if __name__ == "__main__":
    main()
