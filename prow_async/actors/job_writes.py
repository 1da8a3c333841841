"""The writes of a job's actor, on condition that things are as they were when it decided."""

from collections.abc import Callable

from prow_async.actors.executor import Executor
from prow_async.api import actions, names
from prow_async.api.errors import Missing, Stale
from prow_async.api.views import JobView, PodView
from prow_async.core import jobview, plank
from prow_async.ports.kube import Collection

PATCH_TRIES = 5
NOBODYS: tuple[dict[str, str], ...] = ({},)
"""Has the API server forget who manages which field, and keep no account of it at later writes: decision 0005."""


class JobWrites:
    """Deletes pods, patches jobs.

    Args:
        wrote: told of each patch that held: the view it was made upon, and what came of it.
    """

    def __init__(self, source: Collection, executor: Executor, wrote: Callable[[JobView, JobView], None]) -> None:
        self._source = source
        self._executor = executor
        self._wrote = wrote

    async def delete_pod(self, job: JobView, pod: PodView | None, step: plank.Patch) -> None:
        """Delete the pod that a step gives up, if it names one; one that is gone, or replaced, is no trouble."""
        if step.drop_finalizer:
            await self.release(job, pod)
        if not step.delete_pod or pod is None:
            return
        why = step.why
        delete = actions.DeletePod(
            cluster=job.cluster, namespace=pod.namespace, name=pod.name, uid=step.delete_pod, reason=why, why=why
        )
        try:
            await self._executor.perform(delete, job.name)
        except Stale:  # another pod stands there by now: the one we meant is gone
            return

    async def release(self, job: JobView, pod: PodView | None) -> None:
        """Take crier's finalizer off a pod. Raises Stale when it has changed."""
        if pod is None:
            return
        rest = [f for f in pod.finalizers if f != names.GCS_K8S_FINALIZER]
        patch = actions.PatchPod(
            cluster=job.cluster,
            namespace=pod.namespace,
            name=pod.name,
            patch={"metadata": {"finalizers": rest}},
            resource_version=pod.resource_version,
            why="the pod is given up: nobody will report on it",
        )
        try:
            await self._executor.perform(patch, job.name)
        except Missing:
            return

    async def patch_status(
        self, job: JobView, status: dict[str, object], why: str, labels: dict[str, str] | None = None
    ) -> JobView | None:
        """Patch the job on condition that it is as we know it. None: it has moved on, decide again.

        Writes that do not concern us (a reporter's mark) may have come between: then the condition is renewed.
        """
        metadata: dict[str, object] = {"labels": labels} if labels else {}
        if not job.state or job.state == "triggered":
            metadata["managedFields"] = NOBODYS
        for _ in range(PATCH_TRIES):
            patch = actions.PatchProwJob(
                namespace=job.namespace,
                name=job.name,
                patch={"metadata": metadata, "status": status} if metadata else {"status": status},
                resource_version=job.resource_version,
                why=why,
            )
            try:
                raw = await self._executor.perform(patch, job.name)
            except Stale:
                fresh = jobview.read(await self._source.get(job.name))
                if moved(job, fresh):
                    return None
                job = fresh
                continue
            except Missing:
                return None
            if raw is None:
                return None
            view = jobview.read(raw)
            self._wrote(job, view)
            return view
        return None


def moved(known: JobView, fresh: JobView) -> bool:
    """True when something that decisions rest upon has changed."""

    def basis(job: JobView) -> tuple[object, ...]:
        return (job.uid, job.state, job.complete, job.pod_name, job.build_id, job.revivals, job.deleting)

    return basis(known) != basis(fresh)
