"""The engine, the API server and etcd killed under a steady load, three times each: no job is lost, none runs twice."""

import time

import pytest

from tests.soak import standing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.timeout(900),
]
RATE, EVERY_S, TIMES = 20.0, 15.0, 3
SECONDS = EVERY_S * (TIMES + 1)


@pytest.mark.parametrize("which", ["engine", "kube-apiserver", "etcd"])
def test_no_job_is_lost_and_none_runs_twice(which: str) -> None:
    """Each kill comes in the midst of the load, and the program is started again at once."""
    with standing.server() as server, standing.engine(server) as engine:
        engine.start()
        pid = dict(zip(("etcd", "kube-apiserver"), server.pids, strict=True)).get(which)
        victim = engine.program if pid is None else standing.Taken(pid, server.folder / f"{which}.log")
        try:
            with standing.load(server, RATE, SECONDS) as load:
                for _ in range(TIMES):
                    time.sleep(EVERY_S)
                    victim.kill()
                    victim.start()
                report = standing.report(load, 600.0)
        finally:
            victim.end()
    print(report)
    assert report.lost == report.ran_twice == report.changed == []
    assert report.ends == {"success": int(RATE * SECONDS)}
    assert which == "engine" or report.repeated > 0, "nobody noticed that a server was killed"
