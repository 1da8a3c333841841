"""What a cell is told: everything about one container, as plain values.

marshal carries it: both ends are the same interpreter, and no other reader is as cheap to import.
"""

import marshal


class Order:
    """One container to start. The fields are all there is: plain values in, plain values out."""

    argv: list[str]
    utility: bool = False
    """`argv` is this interpreter with `-m` and one of our pod utilities: it may run without starting an interpreter."""
    env: dict[str, str]
    cwd: str
    make_cwd: bool
    """Make the folder when it is not there, as a container runtime does."""
    new_user: bool
    new_mounts: bool
    new_pids: bool
    uid: int
    """To run as, seen from inside."""
    gid: int
    groups: list[int]
    root: str
    """An empty folder to mount the new root on."""
    hostname: str
    mounts: list[tuple[str, str, bool]]
    """Source here, target inside, read-only; later ones may lie below earlier ones."""
    hidden: list[str]
    """Folders of this machine that look empty inside."""
    needed: list[str]
    """Folders that must be seen at their own place even when something is mounted above them."""
    read_only: bool
    """Whether this machine's own files are."""
    cgroup: str
    """The file to join a cgroup by; empty: none."""

    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)

    def dump(self) -> bytes:
        return marshal.dumps(self.__dict__)


def load(text: bytes) -> Order:
    """Read what Order.dump made, in a parent process of this same program."""
    return Order(**marshal.loads(text))  # noqa: S302 - our own parent wrote it, no stranger
