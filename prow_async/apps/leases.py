"""Under which Leases a process's components act, by its flags."""

import socket
from collections.abc import Iterable

from prow_async.actors.leader import Candidacy
from prow_async.api import names
from prow_async.api.errors import CannotStart
from prow_async.apps import process
from prow_async.apps.engine import Component
from prow_async.core import lease


def candidacies(
    shell: process.Shell, cluster: process.Clusters, components: Iterable[Component]
) -> dict[Component, Candidacy]:
    """Return under which Leases the components act, by the flags; none with --leader-elect=false.

    Raises CannotStart for times that do not fit together.
    """
    values = shell.flags.values
    duration_s = values["leader-elect-lease-duration"]
    timing = lease.Timing(int(duration_s), values["leader-elect-renew-deadline"], values["leader-elect-retry-period"])
    wrong = lease.check(timing)
    if duration_s != timing.duration_s:
        wrong = "the lease duration must be whole seconds"
    if wrong:
        told = f"{duration_s:g}s, {timing.renew_deadline_s:g}s, {timing.retry_s:g}s"
        raise CannotStart(f"--leader-elect-lease-duration, -renew-deadline, -retry-period: {told}: {wrong}")
    if not values["leader-elect"]:
        return {}
    identity = f"{socket.gethostname()}_{shell.ids.uuid4()}"
    return {
        component: Candidacy(cluster.lease(name), lease.Lock(name=name, identity=identity, timing=timing))
        for component in components
        if (name := names.LEASES.get(component)) is not None
    }
