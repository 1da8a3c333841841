"""Signals as something to wait for."""

import os
import select
import signal
import subprocess
import sys

from prow_async.podutils.signals import Signals


def test_they_come_in_order_and_do_nothing_else() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Signals([signal.SIGUSR1, signal.SIGUSR2]) as signals:
        assert signals.take() == ()
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert select.select([signals.fd], [], [], 10)[0] == [signals.fd]
        assert signals.take() == (signal.SIGUSR1, signal.SIGUSR2)
        assert signals.take() == ()
    assert signal.getsignal(signal.SIGUSR1) == before


def test_ignored_ones_stay_so_to_the_end_of_the_process() -> None:
    script = (
        "import os, signal\n"
        "from prow_async.podutils.signals import Signals\n"
        "with Signals([signal.SIGTERM]) as signals:\n"
        "    signals.ignore([signal.SIGTERM])\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('alive')\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"alive\n"
