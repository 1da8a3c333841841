"""Who looks on while the doors of a small GitHub take in requests: a recorder, a check of their form."""

import contextlib
from collections.abc import Callable, Iterator

from prow_async.sandbox.github.call import Request

Witness = Callable[[Request], None]
_witnesses: list[Witness] = []


@contextlib.contextmanager
def watching(witness: Witness) -> Iterator[None]:
    """Tell a witness of every REST and GraphQL request that any small GitHub of this process is sent meanwhile."""
    _witnesses.append(witness)
    try:
        yield
    finally:
        _witnesses.remove(witness)


def tell(request: Request) -> None:
    for witness in _witnesses:
        witness(request)
