"""Pod utilities that run in the cell's own process: no interpreter starts, nothing is imported anew.

A decorated job waits for all of them, one after the other, and for the entrypoint that its test is wrapped in.
"""

import _signal as signal  # type: ignore[import-not-found]  # as in main
import gc
import os
import sys
from typing import Never

from prow_async.sandbox.kubelet.cell.order import Order

_PACKAGE = "prow_async.podutils"
_NAMES = ("clonerefs", "initupload", "entrypoint", "sidecar")
_MOST_FILES = 4096
LOADED: dict[str, object] = {}
"""Those that are there already, by module name."""


def load_next(paths: list[str]) -> bool:
    """Import one more; say whether there are further ones. `paths`: where what they stand on is found.

    What is loaded stays: a collector that looked through it would have a fork copy the memory it shares.
    """
    name = f"{_PACKAGE}.{_NAMES[len(LOADED)]}"
    sys.path.extend(path for path in paths if path not in sys.path)
    __import__(name)
    LOADED[name] = sys.modules[name]
    gc.freeze()
    return len(LOADED) < len(_NAMES)


def loaded(order: Order) -> tuple[object, list[str]] | None:
    """Return the utility that an order asks for, and its words from its own name on.

    None when it asks for something else, or too early. A test's own words ask for entrypoint where they name the script
    that was put into the container for it: nothing else counts as one.
    """
    if order.utility:
        words = order.argv[order.argv.index("-m") + 1 :]
        name = words[0]
    else:
        words, name = order.argv, f"{_PACKAGE}.entrypoint"
    utility = LOADED.get(name)
    if utility is None or not (order.utility or _is_file_of(words[0], utility.script())):  # type: ignore[attr-defined]
        return None
    return utility, words


def _is_file_of(path: str, content: bytes) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.access(path, os.X_OK) and os.read(file, len(content) + 1) == content
    except OSError:
        return False
    finally:
        os.close(file)


def become(utility: object, words: list[str], env: dict[str, str]) -> Never:
    """Do what an interpreter would that was started with these words in this environment, and end the process."""
    os.closerange(3, _MOST_FILES)  # what execve would close; among them the pipe that says that the command runs
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    gc.enable()
    os.environ.clear()
    os.environ.update(env)
    sys.argv = words
    code = 1
    try:
        code = utility.main(words[1:], os.environ)  # type: ignore[attr-defined]
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
