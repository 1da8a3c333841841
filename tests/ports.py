"""Free ports for servers that are to keep them, over restarts too."""

import contextlib
import random
import socket

FIRST, LAST = 20_000, 32_000
"""Below those that Linux gives to outgoing connections (ip_local_port_range): while a server is down, a client that
tries to reach it could otherwise be given its port, or even connect to itself there."""
TRIES = 1000


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on now, each another."""
    with contextlib.ExitStack() as stack:
        return [_held(stack.enter_context(socket.socket())) for _ in range(count)]


def free_port() -> int:
    return free_ports(1)[0]


def _held(one: socket.socket) -> int:
    for _ in range(TRIES):
        port = random.SystemRandom().randint(FIRST, LAST)
        with contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")
