"""Each component gets by with the rights its manifest gives it, and needs every one of them.

A real API server with RBAC writes down what each service account asks for. A story is told that needs everything once;
then what was used must be what was granted: with a verb less it would have been refused, a verb more is one too many.
"""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prow_async.api.github import ChangedFile
from tests import realkube
from tests.deploy import audit, installed, lossy, manifests
from tests.e2e import program
from tests.e2e.test_components import SECRET, TOKEN, Outside
from tests.ports import free_port

pytestmark = [pytest.mark.slow, *realkube.REAL]
CONFIG = """
prowjob_namespace: prow
pod_namespace: test-pods
horologium: {tick_interval: 1s}
sinker: {resync_period: 1s, max_prowjob_age: AGE, max_pod_age: 24h, terminated_pod_ttl: AGE}
plank:
  job_url_template: "http://deck.example/{{.ObjectMeta.Name}}"
  report_templates: {"*": "see {{.Spec.Job}}"}
"""
JOBS = """
periodics:
- {name: ci-tick, interval: 1h, spec: {containers: [{name: test, image: x, command: [echo, tick]}]}}
presubmits:
  octo-org/hello:
  - {name: pull-good, skip_if_only_changed: ^kept/, spec: {containers: [{name: test, image: x, command: [echo, good]}]}}
  - {name: pull-bad, skip_if_only_changed: ^kept/, spec: {containers: [{name: test, image: x, command: ["false"]}]}}
  - {name: pull-slow, skip_if_only_changed: ^kept/, spec: {containers: [{name: test, image: x, command: [sleep, 1d]}]}}
"""
PLUGINS = """
plugins: {octo-org: {plugins: [config-updater, trigger]}}
config_updater: {maps: {"kept/*.txt": {name: kept}}}
"""
EVERYBODYS = {("", "selfsubjectaccessreviews.authorization.k8s.io", "create")}
"""Kubernetes' own role system:basic-user lets every account ask what it may do."""
FINALIZER = "prow.x-k8s.io/gcsk8sreporter"


def files(age: str = "24h") -> dict[str, str]:
    return {
        "/etc/config/config.yaml": CONFIG.replace("AGE", age),
        "/etc/job-config/jobs.yaml": JOBS,
        "/etc/plugins/plugins.yaml": PLUGINS,
        "/etc/webhook/hmac": SECRET.decode(),
        "/etc/github/token": TOKEN,
    }


@pytest.fixture
def cluster() -> Iterator[audit.Audited]:
    """A cluster that does not stream lists: there every component lists before it watches."""
    with audit.audited(streams_lists=False) as made:
        yield made


class Story:
    """One installation on a cluster of its own, and what people and the world do to it."""

    def __init__(self, prow: installed.Installed, outside: Outside, cluster: audit.Audited) -> None:
        self.prow = prow
        self.outside = outside
        self.server = cluster.server
        self.cluster = cluster
        self.number = 0

    def open_pull(self) -> None:
        world, now_s = self.outside.world, self.outside.clock.now()
        pull = world.open_pull("octo-org", "hello", "octocat", "A change", "topic", ["a.py"], now_s=now_s)
        self.number = pull.number

    def state_of(self, job: str, state: str) -> Any:
        """Wait until some run of a job is in a state; return that run."""

        def look() -> Any:
            return next((one for one in self.prow.jobs(job=job) if one["status"]["state"] == state), None)

        return program.until(look, f"{job} is {state}")

    def running(self, job: str) -> Any:
        """Wait until a job's pod runs; return the ProwJob."""

        def look() -> Any:
            for one in self.prow.jobs(job=job):
                pod = self.prow.pod(one["metadata"]["name"])
                if one["status"]["state"] == "pending" and pod and pod["status"].get("phase") == "Running":
                    return one
            return None

        return program.until(look, f"the pod of {job} runs")

    def pod_patch(self, name: str, change: Any, sub: str = "") -> None:
        installed.patch(self.server, f"{installed.PODS_PATH}/{name}{sub}", change)

    def used(self, component: str, resource: str, verb: str) -> bool:
        place = "test-pods" if resource == "pods" else "prow"
        return (place, resource, verb) in self.cluster.used(f"prow/{component}")


@pytest.fixture
def streaming() -> Iterator[audit.Audited]:
    """A cluster that streams lists."""
    with audit.audited() as made:
        yield made


def _apply(cluster: audit.Audited, folder: Path, *what: str) -> tuple[manifests.Object, ...]:
    (folder / "all.yaml").write_text(manifests.text(*what))
    cluster.server.run_kubectl("apply", "--server-side", "-f", str(folder / "all.yaml"))
    if what[0].startswith("overlays"):
        program.until(lambda: _is_served(cluster.server), "the ProwJob resource is served")
    return manifests.build(*what)


def _is_served(server: realkube.Server) -> bool:
    try:
        server.request("GET", installed.JOBS_PATH)
    except realkube.Answered:
        return False
    return True


def test_every_component_with_its_own_rights_and_no_others(cluster: audit.Audited, tmp_path: Path) -> None:
    """Two replicas of whatever takes turns, then the whole story, then the count."""
    objects = _apply(cluster, tmp_path, "overlays/split", "github-token")
    with (
        Outside(tmp_path, cluster.server, "test-pods") as outside,
        installed.installed(tmp_path, cluster.server, objects, files()) as prow,
        lossy.losing_the_first_creation(cluster.server) as ways,
    ):
        story = Story(prow, outside, cluster)
        github = f"--github-endpoint={outside.url}"
        port = free_port()
        prow.start("hook", f"--port={port}", github)
        for replica in range(2):
            prow.start("controller-manager", replica=replica)
            prow.start("crier", github, replica=replica)
            prow.start("sinker", replica=replica)
        horologium = prow.start("horologium", server_url=ways.url)
        outside.world.add_hook("octo-org", "", f"http://127.0.0.1:{port}/hook", SECRET)
        story.open_pull()
        _jobs_live(story)
        assert ways.lost == 1
        _config_maps_change(story)
        prow.stop(horologium)
        prow.start("horologium", replica=1)
        prow.start("horologium", replica=2)
        _a_pod_is_lost(story)
        _others_meddle(story)
        _a_report_is_refused(story)
        _a_newer_commit_comes(story)
        _all_is_swept(story)
        _nobody_was_refused(story, *(f"prow/prow-async-{name}" for name in manifests.COMPONENTS))
    for component in manifests.COMPONENTS:
        account = f"prow-async-{component}"
        granted, used = manifests.granted(objects, account), cluster.used(f"prow/{account}") - EVERYBODYS
        assert used <= granted, f"{component}: used without a grant {used - granted}"
        assert granted <= used, f"{component}: never used {granted - used}"


def test_all_in_one_with_its_own_rights(streaming: audit.Audited, tmp_path: Path) -> None:
    """That its rights are the others' together is shown in test_manifests."""
    objects = _apply(streaming, tmp_path, "overlays/all-in-one", "github-token")
    with (
        Outside(tmp_path, streaming.server, "test-pods") as outside,
        installed.installed(tmp_path, streaming.server, objects, files()) as prow,
    ):
        story = Story(prow, outside, streaming)
        port = free_port()
        prow.start("all-in-one", f"--port={port}", f"--github-endpoint={outside.url}")
        outside.world.add_hook("octo-org", "", f"http://127.0.0.1:{port}/hook", SECRET)
        story.open_pull()
        _jobs_live(story)
        _config_maps_change(story)
        _a_newer_commit_comes(story)
        _nobody_was_refused(story, "prow/prow-async")


def test_a_remote_cluster_with_the_rights_it_gives(streaming: audit.Audited, tmp_path: Path) -> None:
    """The cluster is its own remote one: what is done under the alias `arm` is done by the accounts made for it."""
    _apply(streaming, tmp_path, "build-cluster/remote")
    objects = _apply(streaming, tmp_path, "overlays/split", "github-token", "remote-clusters")
    with (
        Outside(tmp_path, streaming.server, "test-pods") as outside,
        installed.installed(tmp_path, streaming.server, objects, files()) as prow,
    ):
        story = Story(prow, outside, streaming)
        for component in ("controller-manager", "sinker"):
            token = streaming.server.service_account_token("test-pods", f"prow-async-{component}")
            folder = tmp_path / f"of-{component}"
            folder.mkdir()
            streaming.server.write_kubeconfig(folder / "arm", token, context="arm")
            prow.start(component, f"--kubeconfig-dir={folder}")
        prow.create_job("far-away", ["echo", "far"], cluster="arm")
        program.until(lambda: prow.job("far-away")["status"]["state"] == "success", "a job in the other cluster")
        prow.stop("sinker-0")
        prow.place("/etc/config/config.yaml").write_text(files("1s")["/etc/config/config.yaml"])
        prow.start("sinker", f"--kubeconfig-dir={tmp_path}/of-sinker", replica=1)
        program.until(lambda: prow.pod("far-away") is None, "its pod was swept")
        accounts = {name: f"test-pods/prow-async-{name}" for name in ("controller-manager", "sinker")}
        _nobody_was_refused(story, *accounts.values())
    # A watch is written down when it ends.
    assert ("test-pods", "pods", "create") in streaming.used(accounts["controller-manager"])
    for name, account in accounts.items():
        assert ("test-pods", "pods", "watch") in streaming.used(account), name


def _jobs_live(story: Story) -> None:
    """Webhook, pod, status, comment; a periodic beside them."""
    story.state_of("pull-good", "success")
    story.state_of("pull-bad", "failure")
    story.state_of("ci-tick", "success")
    story.running("pull-slow")
    world = story.outside.world
    sha = world.pull("octo-org", "hello", story.number).head.sha

    def reported() -> bool:
        return {s.context: s.state for s in world.statuses("octo-org", "hello", sha)} == {
            "pull-good": "success",
            "pull-bad": "failure",
            "pull-slow": "pending",
        }

    program.until(reported, "three statuses")


def _config_maps_change(story: Story) -> None:
    """Two pull requests take files away: the ConfigMap is made to name the first commit, then changed."""
    world, clock = story.outside.world, story.outside.clock
    for name in ("one", "two"):
        files = [ChangedFile(f"kept/{name}.txt", "removed")]
        pull = world.open_pull("octo-org", "hello", "octocat", name, name, files, now_s=clock.now())
        sha = world.merge("octo-org", "hello", pull.number, by="octocat", now_s=clock.now())
        program.until(lambda sha=sha: _kept_at(story) == sha, f"the ConfigMap after {name}")


def _kept_at(story: Story) -> str:
    path = "/api/v1/namespaces/prow/configmaps"
    found = [one for one in story.server.request("GET", path)["items"] if one["metadata"]["name"] == "kept"]
    return found[0]["data"]["VERSION"] if found else ""


def _a_pod_is_lost(story: Story) -> None:
    """A pod with crier's finalizer is evicted: it is let go, deleted, and made anew."""
    job = story.running("pull-slow")
    name = job["metadata"]["name"]
    first = story.prow.pod(name)["metadata"]["uid"]
    story.pod_patch(name, {"metadata": {"finalizers": [FINALIZER]}})
    story.pod_patch(name, {"status": {"phase": "Failed", "reason": "Evicted"}}, "/status")

    def again() -> bool:
        pod = story.prow.pod(name)
        return bool(pod) and pod["metadata"]["uid"] != first and pod["status"].get("phase") == "Running"

    program.until(again, "a second pod runs")


def _others_meddle(story: Story) -> None:
    """A stranger's pod stands under a job's name; somebody writes to a ProwJob all the while."""
    name = "a-stranger-was-first"
    container = {"name": "test", "image": "x", "command": ["true"]}
    pod = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    story.server.request("POST", installed.PODS_PATH, pod)
    story.prow.create_job(name, ["true"])
    program.until(lambda: story.prow.job(name)["status"]["state"] == "error", "the job in a stranger's place ends")
    assert story.prow.pod(name)
    _until_one_is_read_afresh(story)


def _until_one_is_read_afresh(story: Story) -> None:
    """Start jobs while their objects change under the controller's hands, until it had to look again."""
    ended = threading.Event()
    names: list[str] = []

    def meddle() -> None:
        tick = 0
        while not ended.is_set():
            tick += 1
            for name in names[-1:]:
                change = {"metadata": {"annotations": {"tick": str(tick)}}}
                installed.patch(story.server, f"{installed.JOBS_PATH}/{name}", change)

    def looked() -> bool:
        name = f"meddled-with-{len(names)}"
        story.prow.create_job(name, ["true"])
        names.append(name)
        program.until(lambda: story.prow.job(names[-1])["status"]["state"] == "success", f"{names[-1]} ends")
        return story.used("prow-async-controller-manager", "prowjobs.prow.k8s.io", "get")

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        program.until(looked, "a ProwJob was read afresh")
    finally:
        ended.set()
        meddler.join()


def _a_report_is_refused(story: Story) -> None:
    """GitHub knows no such commit: an Event beside the job says that nobody heard of it."""
    refs = {"org": "octo-org", "repo": "hello", "base_ref": "main", "base_sha": "f" * 40}
    name = "of-a-lost-commit"
    story.prow.create_job(name, ["true"], type="postsubmit", report=True, context="lost", refs=refs)

    def told() -> bool:
        events = story.server.request("GET", "/api/v1/namespaces/prow/events")["items"]
        return ("ReportRefused", name) in {(one["reason"], one["involvedObject"]["name"]) for one in events}

    program.until(told, "an Event tells of the report")


def _a_newer_commit_comes(story: Story) -> None:
    """It makes the slow run pointless: hook aborts it, the controller deletes its pod."""
    name = story.running("pull-slow")["metadata"]["name"]
    story.outside.world.push_to_pull("octo-org", "hello", story.number, ["b.py"], now_s=story.outside.clock.now())
    program.until(lambda: story.prow.job(name)["status"].get("completionTime"), "the old run is over")
    assert story.prow.job(name)["status"]["state"] == "aborted"
    program.until(lambda: story.prow.pod(name) is None, "its pod is gone")


def _all_is_swept(story: Story) -> None:
    """Everything finished is old by now, and there is a pod whose ProwJob never was."""
    container = {"name": "test", "image": "x", "command": ["true"]}
    labels = {"created-by-prow": "true", "prow.k8s.io/id": "nobody"}
    meta = {"name": "nobody", "labels": labels, "finalizers": [FINALIZER]}
    story.server.request(
        "POST", installed.PODS_PATH, {"metadata": meta, "spec": {"restartPolicy": "Never", "containers": [container]}}
    )
    story.prow.place("/etc/config/config.yaml").write_text(files("1s")["/etc/config/config.yaml"])
    program.until(lambda: not story.prow.jobs(job="pull-good"), "finished ProwJobs are gone")
    program.until(lambda: "finalizers" not in (story.prow.pod("nobody") or {"metadata": {}})["metadata"], "let go")
    program.until(lambda: story.used("prow-async-sinker", "pods", "delete"), "a pod was swept")


def _nobody_was_refused(story: Story, *accounts: str) -> None:
    """No 403 in what the server wrote down, and none in any log."""
    for account in accounts:
        assert story.cluster.refused(account) == []
    for name, text in story.prow.logs().items():
        for line in text.splitlines():
            assert not re.search(r'\b403\b|forbidden: User|"severity":"error"', line), f"{name}: {line}"
