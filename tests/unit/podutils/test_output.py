"""Where a test's output goes."""

import os
import threading

from prow_async.podutils import output


def test_a_full_pipe_is_not_waited_for_longer_than_asked() -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        filled = 0
        try:
            while True:
                filled += os.write(writing, bytes(4096))
        except BlockingIOError:
            os.set_blocking(writing, True)
        sink = output.Sink(writing)
        sink.write(b"line", patience_s=0.01)
        assert (sink.lost_bytes, sink.why) == (4, "nobody reads it")
        os.read(reading, filled)
        sink.write(b"line", patience_s=0.01)
        assert (sink.lost_bytes, os.read(reading, 100)) == (4, b"line")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_pump_ends_with_its_last_writer() -> None:
    reading, writing = os.pipe()
    pump = output.Pump((output.Sink(writing),))
    copy = os.dup(pump.write_fd)
    pump.start()
    pump.let_go()
    os.write(copy, b"one")
    assert os.read(reading, 10) == b"one"
    os.close(copy)
    assert os.read(pump.done_fd, 1) == b""
    for thread in threading.enumerate():
        if thread.name == "output":
            thread.join()
    for descriptor in (reading, writing):
        os.close(descriptor)
