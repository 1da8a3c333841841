"""Each component takes the place of upstream's, alone and with jobs under way; and gives it back.

The objects are in upstream's shapes, or are handed to upstream's rules (tests/deploy/upstream.py); the processes have
the flags and rights of the manifests. Pods are moved by hand.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import realkube
from tests.deploy import audit, installed, manifests, upstream
from tests.deploy.upstream import play_kubelet
from tests.e2e import program
from tests.e2e.test_components import SECRET, TOKEN, Outside
from tests.ports import free_port

pytestmark = [pytest.mark.slow, *realkube.REAL]
CONFIG = """
prowjob_namespace: prow
pod_namespace: test-pods
horologium: {tick_interval: 1s}
sinker: {resync_period: 1s, max_prowjob_age: 1h, max_pod_age: 24h, terminated_pod_ttl: 10m}
plank: {max_revivals: 3, job_url_template: "http://deck.example/{{.Status.BuildID}}"}
"""
JOBS = """
periodics:
- {name: ci-recent, interval: 1h, spec: {containers: [{image: x}]}}
- {name: ci-long-ago, interval: 1h, spec: {containers: [{image: x}]}}
- {name: ci-goes-on, interval: 1h, spec: {containers: [{image: x}]}}
presubmits:
  octo-org/hello:
  - {name: pull-unit, always_run: true, spec: {containers: [{image: x}]}}
"""
FILES = {
    "/etc/config/config.yaml": CONFIG,
    "/etc/job-config/jobs.yaml": JOBS,
    "/etc/plugins/plugins.yaml": "plugins: {octo-org: {plugins: [trigger]}}",
    "/etc/webhook/hmac": SECRET.decode(),
    "/etc/github/token": TOKEN,
}
GITHUB_REPORTER = {"github-reporter": "pending"}


class World:
    """A cluster with both of them, and the small GitHub."""

    def __init__(self, prow: installed.Installed, server: realkube.Server, outside: Outside) -> None:
        self.prow = prow
        self.server = server
        self.outside = outside
        self.theirs = upstream.Upstream(server)
        self.github = f"--github-endpoint={outside.url}"

    def open_pull(self) -> tuple[int, str]:
        """Open a pull request nobody tells a webhook of; return its number and commit."""
        world, now_s = self.outside.world, self.outside.clock.now()
        pull = world.open_pull("octo-org", "hello", "octocat", "A change", "topic", ["a.py"], now_s=now_s)
        return pull.number, world.pull("octo-org", "hello", pull.number).head.sha

    def statuses(self, sha: str) -> list[tuple[str, str]]:
        """Return everything ever posted on a commit, oldest first."""
        found = [(s.context, s.state) for s in self.outside.world.statuses("octo-org", "hello", sha)]
        return found[::-1]

    def until(self, name: str, true: Callable[[Any], Any], what: str) -> Any:
        return program.until(lambda: true(self.prow.job(name)) and self.prow.job(name), what)

    def until_state(self, name: str, state: str) -> Any:
        return self.until(name, lambda job: job["status"]["state"] == state, f"{name} is {state}")

    def uid(self, name: str) -> str:
        return str(self.prow.pod(name)["metadata"]["uid"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[realkube.Server]:
    manifest = tmp_path_factory.mktemp("manifests") / "all.yaml"
    manifest.write_text(manifests.text("overlays/split", "github-token"))
    with audit.audited() as made:
        made.server.run_kubectl("apply", "--server-side", "-f", str(manifest))
        made.server.run_kubectl("wait", "--for=condition=Established", "crd/prowjobs.prow.k8s.io", "--timeout=60s")
        yield made.server


@pytest.fixture
def world(cluster: realkube.Server, tmp_path: Path) -> Iterator[World]:
    """Empty: what an earlier test left is gone."""
    objects = manifests.build("overlays/split", "github-token")
    cluster.run_kubectl("delete", "prowjobs", "--all", "-n", "prow", "--wait=false")
    cluster.run_kubectl("delete", "pods", "--all", "-n", "test-pods", "--force", "--grace-period=0", "--wait=false")
    program.until(lambda: not cluster.request("GET", installed.PODS_PATH)["items"], "no pods are left")
    with (
        Outside(tmp_path, cluster, "no-pod-is-run-here") as outside,
        installed.installed(tmp_path, cluster, objects, FILES) as prow,
    ):
        yield World(prow, cluster, outside)


def test_controller_manager_goes_on_with_pods_of_upstream(world: World) -> None:
    """In every moment plank can be stopped in: the pod that is there stays the only one, and its build id is kept."""
    theirs = world.theirs
    running = theirs.start(upstream.presubmit("pull-a"))
    theirs.reported(running, "pending")
    unscheduled = theirs.start(upstream.presubmit("pull-b"))
    ended = theirs.start(upstream.presubmit("pull-c"))
    half_started = theirs.start(job := upstream.presubmit("pull-d"), patched=False)
    half_build = world.prow.pod(job["metadata"]["name"])["metadata"]["labels"]["prow.k8s.io/build-id"]
    untouched = theirs.create(upstream.presubmit("pull-e"))
    for name, phase in ((running, "Running"), (ended, "Failed"), (half_started, "Running")):
        play_kubelet(world.server, name, phase)
    there = (running, unscheduled, ended, half_started)
    before = {name: (world.uid(name), world.prow.job(name)["status"].get("build_id", half_build)) for name in there}

    world.prow.start("controller-manager")
    world.until_state(ended, "failure")
    world.until_state(half_started, "pending")
    world.until_state(untouched, "pending")
    for name in (running, unscheduled, half_started, untouched):
        play_kubelet(world.server, name, "Succeeded")
        world.until_state(name, "success")
    for name, (uid, build_id) in before.items():
        assert world.uid(name) == uid, "the pod upstream made is the only one"
        assert world.prow.job(name)["status"]["build_id"] == build_id
        assert world.prow.job(name)["status"].get("pod_revival_count", 0) == 0
    assert world.prow.job(running)["status"]["prev_report_states"] == GITHUB_REPORTER, "crier's word is kept"


def test_controller_manager_ends_what_upstream_had_begun_to_end(world: World) -> None:
    """An abort without its end; a pod that went away; an evicted one that crier's finalizer holds."""
    theirs = world.theirs
    aborted = theirs.start(upstream.presubmit("pull-a"))
    theirs.patch(aborted, {"status": {"state": "aborted", "description": "Aborted by trigger plugin."}})
    lost = theirs.start(upstream.presubmit("pull-b"))
    world.server.run_kubectl("delete", "pod", lost, "-n", "test-pods", "--force", "--grace-period=0")
    evicted = theirs.start(upstream.presubmit("pull-c"))
    pod_path = f"{installed.PODS_PATH}/{evicted}"
    installed.patch(world.server, pod_path, {"metadata": {"finalizers": ["prow.x-k8s.io/gcsk8sreporter"]}})
    installed.patch(world.server, f"{pod_path}/status", {"status": {"phase": "Failed", "reason": "Evicted"}})
    old = world.uid(evicted)

    world.prow.start("controller-manager")
    done = world.until(aborted, lambda job: job["status"].get("completionTime"), "the aborted job is over")
    assert done["status"]["state"] == "aborted"
    program.until(lambda: world.prow.pod(aborted) is None, "its pod is gone")
    program.until(lambda: world.prow.pod(lost), "the lost pod is made anew")
    program.until(lambda: (pod := world.prow.pod(evicted)) and pod["metadata"]["uid"] != old, "and the evicted one")
    for name in (lost, evicted):
        play_kubelet(world.server, name, "Succeeded")
        world.until_state(name, "success")


def test_controller_manager_is_rolled_back(world: World) -> None:
    """Ours starts a job and is stopped while it is pending: plank ends it. Ours comes back and changes nothing."""
    theirs, name = world.theirs, world.theirs.create(upstream.presubmit("pull-a"))
    ours = world.prow.start("controller-manager")
    started = world.until_state(name, "pending")
    world.prow.stop(ours)
    pod = world.prow.pod(name)
    build_id = started["status"]["build_id"]
    # What upstream's other components read of it: crier, sinker, deck, the pod's own programs.
    assert pod["metadata"]["labels"] == {
        **started["metadata"]["labels"],
        "prow.k8s.io/id": name,
        "prow.k8s.io/build-id": build_id,
        "prow.k8s.io/plank-version": pod["metadata"]["labels"]["prow.k8s.io/plank-version"],
    }
    assert {"name": "BUILD_ID", "value": build_id} in pod["spec"]["containers"][0]["env"]
    expected = upstream.presubmit("pull-a")["spec"]
    assert started["spec"] == expected, "the spec is as it was"
    status = started["status"]
    assert (status["pod_name"], status["url"]) == (name, f"http://deck.example/{build_id}")
    assert status["pendingTime"] >= status["startTime"]

    play_kubelet(world.server, name, "Running")
    assert theirs.sync(name) == "pending"
    play_kubelet(world.server, name, "Succeeded")
    assert theirs.sync(name) == "success"
    version = world.prow.job(name)["metadata"]["resourceVersion"]
    other = theirs.create(upstream.presubmit("pull-b"))
    world.prow.start("controller-manager", replica=1)
    world.until_state(other, "pending")
    assert world.prow.job(name)["metadata"]["resourceVersion"] == version
    assert theirs.would_sweep(0, 0) == ({name}, {name})


def test_crier_says_what_upstream_has_not_said(world: World) -> None:
    """And is rolled back: upstream's has nothing to add, and ours says nothing again when it returns."""
    theirs, (number, sha) = world.theirs, world.open_pull()
    told = theirs.start(upstream.presubmit("pull-told", sha, number))
    theirs.reported(told, "pending")
    untold = theirs.start(upstream.presubmit("pull-untold", sha, number))
    over = theirs.start(upstream.presubmit("pull-over", sha, number))
    theirs.patch(over, {"status": {"state": "success", "completionTime": upstream.at()}})
    theirs.reported(over, "success")
    ours = world.prow.start("crier", world.github)
    program.until(lambda: not theirs.would_report(untold), "what was not said is noted as said")
    assert world.statuses(sha) == [("pull-untold", "pending")]
    play_kubelet(world.server, told, "Failed")
    assert theirs.sync(told) == "failure"
    program.until(lambda: not theirs.would_report(told), "the end is noted as said")
    world.prow.stop(ours)
    said = world.statuses(sha)
    assert sorted(said) == [("pull-told", "failure"), ("pull-untold", "pending")]
    comments = list(world.outside.world.comments("octo-org", "hello", number))
    assert ["<!-- test report -->" in each.body for each in comments] == [True]
    assert "pull-told |" in comments[0].body

    # Upstream's crier is back: it finds its own marks, and ends the other job's story by itself.
    assert not any(theirs.would_report(name) for name in (told, untold, over))
    play_kubelet(world.server, untold, "Succeeded")
    assert theirs.sync(untold) == "success"
    assert theirs.would_report(untold)
    theirs.reported(untold, "success")
    new = theirs.start(upstream.presubmit("pull-new", sha, number))
    world.prow.start("crier", world.github, replica=1)
    program.until(lambda: not theirs.would_report(new), "the new job is spoken of")
    assert sorted(world.statuses(sha)) == sorted([*said, ("pull-new", "pending")])
    assert len(list(world.outside.world.comments("octo-org", "hello", number))) == 1


def test_horologium_counts_from_upstreams_runs(world: World) -> None:
    """What upstream started is not started again before its time; and upstream counts from ours in turn."""
    theirs = world.theirs
    recent = theirs.create(upstream.periodic("ci-recent", ago_s=600))
    theirs.patch(recent, {"status": {"state": "success", "completionTime": upstream.at(300)}})
    long_ago = theirs.create(upstream.periodic("ci-long-ago", ago_s=7200))
    theirs.patch(long_ago, {"status": {"state": "failure", "completionTime": upstream.at(7000)}})
    theirs.create(upstream.periodic("ci-goes-on", ago_s=7200))
    ours = world.prow.start("horologium")
    program.until(lambda: len(world.prow.jobs(job="ci-long-ago")) == 2, "the old one is due")
    program.until(lambda: world.prow.log(ours).count("periodic started") == 1, "it says so")
    world.prow.stop(ours)
    assert len(world.prow.jobs(job="ci-recent")) == len(world.prow.jobs(job="ci-goes-on")) == 1
    (mine,) = (job for job in world.prow.jobs(job="ci-long-ago") if job["metadata"]["name"] != long_ago)
    model = upstream.periodic("ci-long-ago", 0)
    assert mine["metadata"]["labels"] == model["metadata"]["labels"]
    assert model["metadata"]["annotations"].items() <= mine["metadata"]["annotations"].items()
    assert mine["status"].keys() == model["status"].keys()
    assert not any(theirs.would_start(job, 3600) for job in ("ci-recent", "ci-long-ago", "ci-goes-on"))


def test_sinker_sweeps_what_upstream_left(world: World) -> None:
    """The same objects upstream's would sweep, and no others."""
    theirs = world.theirs
    old = theirs.start(upstream.presubmit("pull-old", ago_s=7200))
    theirs.patch(old, {"status": {"state": "success", "completionTime": upstream.at(7000)}})
    young = theirs.start(upstream.presubmit("pull-young", ago_s=1800))
    theirs.patch(young, {"status": {"state": "success", "completionTime": upstream.at(1200)}})
    fresh = theirs.start(upstream.presubmit("pull-fresh"))
    theirs.patch(fresh, {"status": {"state": "success", "completionTime": upstream.at()}})
    endless = theirs.start(upstream.presubmit("pull-endless", ago_s=90000))
    jobs, pods = theirs.would_sweep(3600, 600)
    assert (jobs, pods) == ({old}, {old, young})
    world.prow.start("sinker")
    program.until(lambda: all(world.prow.pod(name) is None for name in pods), "old pods are gone")
    program.until(lambda: not world.prow.jobs(job="pull-old"), "the old ProwJob is gone")
    assert {job["metadata"]["name"] for job in world.prow.jobs()} == {young, fresh, endless}
    assert world.prow.pod(fresh)
    assert world.prow.pod(endless)


def test_hook_knows_upstreams_jobs(world: World) -> None:
    """A newer commit ends the run upstream's hook had started; the run that ours starts is one upstream can read."""
    theirs, (number, sha) = world.theirs, world.open_pull()
    running = theirs.start(upstream.presubmit("pull-unit", sha, number))
    port = free_port()
    world.prow.start("hook", f"--port={port}", world.github)
    world.outside.world.add_hook("octo-org", "", f"http://127.0.0.1:{port}/hook", SECRET)
    newer = world.outside.world.push_to_pull("octo-org", "hello", number, ["b.py"], now_s=world.outside.clock.now())
    aborted = world.until_state(running, "aborted")
    assert "completionTime" not in aborted["status"], "plank ends it"

    def made() -> Any:
        return next((job for job in world.prow.jobs(job="pull-unit") if job["metadata"]["name"] != running), None)

    mine = program.until(made, "the run of the newer commit")
    model = upstream.presubmit("pull-unit", newer, number)
    assert mine["metadata"]["labels"].keys() == model["metadata"]["labels"].keys()
    assert model["metadata"]["annotations"].items() <= mine["metadata"]["annotations"].items()
    assert mine["spec"]["refs"]["pulls"][0].keys() == model["spec"]["refs"]["pulls"][0].keys()
    assert mine["spec"]["refs"]["pulls"][0]["sha"] == newer
    assert mine["status"].keys() == model["status"].keys()
    name = mine["metadata"]["name"]
    theirs.start_pod(mine)
    play_kubelet(world.server, name, "Succeeded")
    assert theirs.sync(name) == "success"
