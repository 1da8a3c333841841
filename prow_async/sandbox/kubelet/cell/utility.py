"""Pod utilities that run in the cell's own process: no interpreter starts, nothing is imported anew.

A decorated job waits for four of them, one after the other.
"""

import _signal as signal  # type: ignore[import-not-found]  # as in main
import os
import sys
from typing import Never

from prow_async.sandbox.kubelet.cell.order import Order

_NAMES = ("clonerefs", "initupload", "entrypoint", "sidecar")
_MOST_FILES = 4096
LOADED: dict[str, object] = {}
"""Those that are there already, by module name."""


def load_next(paths: list[str]) -> bool:
    """Import one more; say whether there are further ones. `paths`: where what they stand on is found."""
    name = f"prow_async.podutils.{_NAMES[len(LOADED)]}"
    sys.path.extend(path for path in paths if path not in sys.path)
    __import__(name)
    LOADED[name] = sys.modules[name]
    return len(LOADED) < len(_NAMES)


def loaded(order: Order) -> object | None:
    """Return the utility that an order asks for, None when it asks for something else, or too early."""
    return LOADED.get(order.argv[_module(order)]) if order.utility else None


def _module(order: Order) -> int:
    return order.argv.index("-m") + 1


def become(utility: object, order: Order) -> Never:
    """Do what an interpreter would that was started with the order's words, and end the process."""
    first = _module(order)
    os.closerange(3, _MOST_FILES)  # what execve would close; among them the pipe that says that the command runs
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(order.env)
    sys.argv = order.argv[first:]
    code = 1
    try:
        code = utility.main(order.argv[first + 1 :], os.environ)  # type: ignore[attr-defined]
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # as the interpreter does for what nobody caught
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = code or 120
        os._exit(code)
