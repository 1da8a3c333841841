"""An overlay as it runs: each component a process of its own, with the flags, account and rights it is given."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import realkube
from tests.deploy import manifests
from tests.e2e import program

JOBS_PATH = "/apis/prow.k8s.io/v1/namespaces/prow/prowjobs"
PODS_PATH = "/api/v1/namespaces/test-pods/pods"


class Installed:
    """The processes of an overlay. `files` is what is mounted into its pods, by path."""

    def __init__(
        self, folder: Path, server: realkube.Server, objects: Sequence[manifests.Object], files: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._server = server
        self._workloads = manifests.workloads(objects)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for path, content in files.items():
            place = self.place(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)

    def place(self, path: str) -> Path:
        """Return where a path of the pods is here."""
        return self._folder / "root" / path.lstrip("/")

    def start(self, component: str, *flags: str, replica: int = 0, server_url: str = "") -> str:
        """Start a component as its pod would; return the name it runs under here. Later flags win."""
        name = f"{component}-{replica}"
        workload = self._workloads[component]
        account = workload["spec"]["template"]["spec"]["serviceAccountName"]
        kubeconfig = self._folder / f"{name}.kubeconfig"
        self._server.write_kubeconfig(kubeconfig, self._server.service_account_token("prow", account))
        if server_url:
            kubeconfig.write_text(kubeconfig.read_text().replace(self._server.url, server_url))
        state = self._folder / f"{name}.state"
        given = [each for each in manifests.container(workload)["args"] if each != "--in-cluster"]
        command = [str(program.PROGRAM), *(self._here(each, state) for each in given)]
        command += [f"--kubeconfig={kubeconfig}", "--listen-host=127.0.0.1", "--metrics-port=0", "--health-port=0"]
        if component == "hook":
            command += [f"--inbox-dir={state}/inbox", f"--cache-dir-base={state}"]
        with self._log_file(name).open("ab") as log:
            self._running[name] = subprocess.Popen([*command, *flags], stdout=log, stderr=log)
        program.until(lambda: self._has_started(name), f"{name} started")
        return name

    def _here(self, argument: str, state: Path) -> str:
        """Put our own places into a flag."""
        flag, _, value = argument.partition("=")
        if value.startswith("/var/lib/prow-async"):
            return f"{flag}={state}"
        return f"{flag}={self.place(value)}" if value.startswith("/") else argument

    def _has_started(self, name: str) -> bool:
        assert self._running[name].poll() is None, self.log(name)[-3000:]
        return '"msg":"started"' in self.log(name)

    def _log_file(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def log(self, name: str) -> str:
        return self._log_file(name).read_text()

    def logs(self) -> dict[str, str]:
        return {file.name: file.read_text() for file in self._folder.glob("*.log")}

    def stop(self, name: str) -> None:
        """Stop a process as Kubernetes does; it must end well."""
        process = self._running.pop(name)
        process.terminate()
        assert process.wait(60) == 0, self.log(name)[-3000:]

    def kill_all(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()

    def jobs(self, **labels: str) -> list[Any]:
        """Return the ProwJobs with these values in their spec."""
        found: list[Any] = self._server.request("GET", JOBS_PATH)["items"]
        return [job for job in found if all(job["spec"].get(key) == value for key, value in labels.items())]

    def create_job(self, name: str, command: Sequence[str], cluster: str = "default", **more: Any) -> Any:
        """Create a ProwJob as the administrator: a periodic that nobody reports, but for `more` of its spec."""
        pod = {"containers": [{"name": "test", "image": "x", "command": list(command)}]}
        spec = {"type": "periodic", "agent": "kubernetes", "cluster": cluster, "job": name, "pod_spec": pod}
        status = {"state": "triggered", "startTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        body = {"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": {"name": name}}
        return self._server.request("POST", JOBS_PATH, {**body, "spec": {**spec, **more}, "status": status})

    def job(self, name: str) -> Any:
        return self._server.request("GET", f"{JOBS_PATH}/{name}")

    def pod(self, name: str) -> Any:
        """Return a pod, None when there is none."""
        try:
            return self._server.request("GET", f"{PODS_PATH}/{name}")
        except realkube.Answered as error:
            if error.status == 404:
                return None
            raise


@contextlib.contextmanager
def installed(
    folder: Path, server: realkube.Server, objects: Sequence[manifests.Object], files: Mapping[str, str]
) -> Iterator[Installed]:
    """Yield an installation of which nothing runs yet; what still runs in the end is killed."""
    made = Installed(folder, server, objects, files)
    try:
        yield made
    finally:
        made.kill_all()


def patch(server: realkube.Server, path: str, change: Any) -> Any:
    """Merge-patch an object as the administrator; return it as stored."""
    return server.request("PATCH", path, change, content_type="application/merge-patch+json")
