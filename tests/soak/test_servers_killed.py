"""The engine, the API server and etcd killed under a steady load, three times each: no job is lost, none runs twice."""

import time

import pytest

from tests.soak import standing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.timeout(900),
]
RATE, EVERY_S, TIMES, DOWN_S = 20.0, 15.0, 3, 1.0
SECONDS = (EVERY_S + DOWN_S) * TIMES + EVERY_S


@pytest.mark.parametrize("which", ["engine", "kube-apiserver", "etcd"])
def test_no_job_is_lost_and_none_runs_twice(which: str) -> None:
    """Each kill comes in the midst of the load; the program is started again a moment later.

    Whoever asks an API server that is gone must notice. That etcd is gone may be hidden by the API server's own tries.
    """
    with standing.server() as server, standing.engine(server) as engine:
        engine.start()
        pid = dict(zip(("etcd", "kube-apiserver"), server.pids, strict=True)).get(which)
        victim = engine.program if pid is None else standing.Taken(pid, server.folder / f"{which}.log")
        try:
            with standing.load(server, RATE, SECONDS) as load:
                for _ in range(TIMES):
                    time.sleep(EVERY_S)
                    victim.kill()
                    time.sleep(DOWN_S)
                    victim.start()
                report = standing.report(load, 600.0)
        finally:
            victim.end()
    print(report)
    assert report.lost == report.ran_twice == report.changed == []
    assert report.ends == {"success": int(RATE * SECONDS)}
    assert which != "kube-apiserver" or report.repeated > 0, "nobody noticed that the API server was killed"
