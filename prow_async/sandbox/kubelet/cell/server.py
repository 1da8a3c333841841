"""The process all cells are forked from: a fork costs a fraction of what starting an interpreter does.

Each message on standard input carries five files: the order, where output goes, and the cell's ends of three pipes:
what goes wrong before the command runs, the lifeline, the exit code. The answer is the cell's pid. It ends when the
kubelet does.
"""

import _signal as signal  # type: ignore[import-not-found]  # as in main
import _socket  # `socket` itself imports enum and selectors
import gc
import os
import select
import sys

from prow_async.sandbox.kubelet.cell import main, utility

FILES = 5
_WORD_BYTES = 4


def serve(paths: list[str]) -> None:
    """Fork cells until the other end of standard input closes; never return.

    Args:
        paths: where the pod utilities find their packages. They are loaded while nothing is asked for.
    """
    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, os.dup(0))
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for cells: they report their end by a pipe
    gc.disable()  # nothing here needs it, nor in cells, which end; utilities turn it on again
    asked = select.poll()
    asked.register(door, select.POLLIN)
    more = True
    while True:
        while more and not asked.poll(0):
            more = utility.load_next(paths)
        said, carried, _, _ = door.recvmsg(1, _socket.CMSG_SPACE(FILES * _WORD_BYTES), _socket.MSG_CMSG_CLOEXEC)
        if not said:
            os._exit(0)
        content = carried[0][2]
        files = [
            int.from_bytes(content[at : at + _WORD_BYTES], sys.byteorder) for at in range(0, len(content), _WORD_BYTES)
        ]
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            door.close()
            main.run(*files)
        for file in files:
            os.close(file)
        door.send(str(pid).encode())
