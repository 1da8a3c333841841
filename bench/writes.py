"""Writes in the whole life of a job: every component in one process, reports to GitHub and storage, deletion."""

import contextlib
import re
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench import cluster, exposition, jobs, load, processes, systems, wire
from bench.results import Writes
from tests import realkube

RATE = 4.0
RUNS_S = 12.0
"""Longer than reporters are waited for: what is told of a job that runs is recorded while it does."""
OLD_S = 30
GONE_S = 120.0
ACTIONS = "prow_async_executor_actions_total"
REPORTS = "crier_reporting_results"
REPORTERS = ("github-reporter", "gcsreporter", "gcsk8sreporter")
OURS = ("PatchProwJob", "DeleteProwJob", "CreatePod", "PatchPod", "DeletePod", "RecordEvent")
Say = Callable[[str], None]


def measure(server: realkube.Server, count: int, say: Say) -> Writes:
    """Let jobs live and be swept away. Raises Broken, also where a job was not reported."""
    say(f"writes: the whole lives of {count} jobs, every component in one process")
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        data = Path(folder) / "data"
        with systems.everything(server, config(Path(folder) / "storage"), data) as system:
            before = cluster.writes(server)
            asked = load.Asked(rate=RATE, seconds=count / RATE, runs_s=RUNS_S, spec=spec(_head(system, data)))
            report = jobs.run_load(server, asked)
            if report.done < count:
                raise processes.Broken(f"{report.done} of {count} jobs were done\n{system.child.output()[-2000:]}")
            wait_gone(server)
            time.sleep(jobs.SETTLE_S)
            written = cluster.writes(server) - before - report.writes
            page = system.metrics()
    return found(count, written, page)


def found(count: int, written: int, page: str) -> Writes:
    """Make the result of what the API server has counted and of our own metrics. Raises Broken without reports."""
    actions: Counter[str] = Counter()
    for labels, value in exposition.samples(page, ACTIONS):
        if labels["action"] in OURS and labels["outcome"] == "done":
            actions[labels["action"]] += int(value)
    reports = {
        labels["reporter"]: int(value)
        for labels, value in exposition.samples(page, REPORTS)
        if labels["result"] == "SUCCESS"
    }
    for reporter in REPORTERS:
        if reports.get(reporter, 0) < count:
            raise processes.Broken(
                f"{reporter} has reported {reports.get(reporter, 0)} times for {count} jobs: {reports}"
            )
    return Writes(
        jobs=count,
        whole_per_job=round((written - actions["PatchPod"]) / count, 2),
        finalizers_per_job=round(actions["PatchPod"] / count, 2),
        by_action={name: round(value / count, 2) for name, value in sorted(actions.items())},
        reports=reports,
    )


def config(storage: Path) -> str:
    bucket = msgspec.json.encode(storage.as_uri()).decode()
    images = ", ".join(f"{name}: example.com/{name}" for name in ("clonerefs", "initupload", "entrypoint", "sidecar"))
    return f"""{systems.CONFIG}
plank:
  default_decoration_config_entries:
  - config:
      utility_images: {{{images}}}
      gcs_configuration: {{bucket: {bucket}, path_strategy: explicit}}
sinker:
  resync_period: 2s
  max_prowjob_age: {OLD_S}s
  terminated_pod_ttl: 1s
"""


def spec(base_sha: str) -> dict[str, Any]:
    """Return a postsubmit of the small GitHub's one repository: each reports under a context of its own."""
    refs = {"org": "octo-org", "repo": "hello", "base_ref": "main", "base_sha": base_sha}
    return {"type": "postsubmit", "job": "bench-whole", "refs": refs, "report": True, "context": ""}


def wait_gone(server: realkube.Server) -> None:
    """Return once no ProwJob and no pod is left. Raises Broken when that takes too long."""
    end = time.monotonic() + OLD_S + GONE_S
    while time.monotonic() < end:
        lists = (cluster.request(server, "GET", f"{path}?limit=1") for path in (wire.JOBS, wire.PODS))
        if not any(msgspec.json.decode(one)["items"] for one in lists):
            return
        time.sleep(0.5)
    raise processes.Broken("jobs or pods were not swept away")


def _head(system: systems.System, data: Path) -> str:
    """Return the commit at the head of the small GitHub's repository. Raises Broken."""
    url = re.search(r"GitHub +(http\S+)", system.child.output())
    if url is None:
        raise processes.Broken(f"no address of the small GitHub\n{system.child.output()[-2000:]}")
    token = (data / "github-token").read_text()
    path = f"{url.group(1)}/repos/octo-org/hello/branches/main"
    request = urllib.request.Request(path, headers={"Authorization": f"Bearer {token}"})
    with contextlib.closing(urllib.request.urlopen(request, timeout=30)) as reply:
        return str(msgspec.json.decode(reply.read())["commit"]["sha"])
