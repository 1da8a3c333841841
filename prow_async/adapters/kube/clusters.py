"""Which clusters there are: kubeconfig contexts, the pod we run in, and the aliases that jobs know them by.

Source: upstream pkg/kube/config.go, pkg/flagutil/kubernetes_cluster_clients.go.
"""

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import msgspec
import structlog

from prow_async.adapters.kube import kubeconfig, session
from prow_async.adapters.kube.credentials import ACCOUNT, Source
from prow_async.adapters.kube.kubeconfig import Kubeconfig
from prow_async.api.errors import CannotStart
from prow_async.ports.transport import Transport

log = structlog.get_logger()

INFRA = ""
"""Alias of the cluster that holds the ProwJobs."""
DEFAULT = "default"


class Flags(msgspec.Struct, frozen=True):
    """What a person says about clusters on the command line."""

    kubeconfig: str = ""
    kubeconfig_dir: str = ""
    kubeconfig_suffix: str = ""
    """Only files in the folder whose names end so."""
    in_cluster: bool = True
    projected_token_file: str = ""


class Found(msgspec.Struct, frozen=True):
    """What a look at the kubeconfigs brought."""

    sources: dict[str, Source]
    """By alias; that of the ProwJobs under the empty one."""
    marks: dict[str, str]
    """By alias: a digest that changes when the cluster is reached in another way."""
    configs: dict[tuple[str, ...], Kubeconfig]
    """What was read of each group of files."""
    problems: tuple[str, ...]
    """Files that do not read and were taken as they were at the last look, or passed over."""


def find(flags: Flags, disabled: Collection[str] = (), environ: Mapping[str, str] = os.environ) -> dict[str, Source]:
    """Return the clusters by alias; see `look`. Raises CannotStart also for a file that does not read."""
    found = look(flags, disabled, environ)
    if found.problems:
        raise CannotStart(found.problems[0])
    return found.sources


def look(
    flags: Flags,
    disabled: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
    last: Mapping[tuple[str, ...], Kubeconfig] = {},
) -> Found:
    """Read which clusters there are. Blocks; nothing is contacted.

    Every context is an alias. The infrastructure cluster is the one we run in, else the current-context; `default` is
    that too unless a context has the name.

    Args:
        last: what the last look read, for files that do not read now.

    Raises:
        CannotStart: a context is in two files, a folder does not read, a suffix is given without a folder, or there
            is no infrastructure cluster.
    """
    configs, problems = _read_groups(groups(flags, environ), last)
    found: dict[str, Source] = {}
    current: Source | None = None
    for files, config in configs.items():
        for name in config.contexts:
            if name in found:
                first, second = ", ".join(found[name].files), ", ".join(files)
                raise CannotStart(f"context {name!r} is in two kubeconfig files: {first} and {second}; rename one")
            found[name] = Source(name, files, name)
        if current is None and config.current in config.contexts:
            current = Source(INFRA, files, config.current)
    infra = _own_cluster(flags, environ) or current
    if infra is None:
        told = f" ({'; '.join(problems)})" if problems else ""
        raise CannotStart(
            "there is no cluster to work in: this is no pod of one, and no kubeconfig names a current-context. "
            f"Give --kubeconfig, or set KUBECONFIG{told}"
        )
    found[INFRA] = infra
    found.setdefault(DEFAULT, msgspec.structs.replace(infra, alias=DEFAULT))
    for alias in disabled:
        if alias != INFRA:  # an empty name in a list is a slip: without that cluster there is nothing to do at all
            found.pop(alias, None)
    marks = {alias: _mark(source, configs) for alias, source in found.items()}
    return Found(found, marks, configs, tuple(problems))


def _read_groups(
    wanted: list[tuple[str, ...]], last: Mapping[tuple[str, ...], Kubeconfig]
) -> tuple[dict[tuple[str, ...], Kubeconfig], list[str]]:
    configs: dict[tuple[str, ...], Kubeconfig] = {}
    problems = []
    for files in wanted:
        try:
            configs[files] = kubeconfig.read(files)
        except CannotStart as error:
            problems.append(str(error))
            if files in last:
                configs[files] = last[files]
    return configs, problems


def _mark(source: Source, configs: Mapping[tuple[str, ...], Kubeconfig]) -> str:
    if source.in_cluster:
        return ""
    try:
        context = kubeconfig.context(configs[source.files], source.context)
    except kubeconfig.Unusable as error:
        return str(error)
    return hashlib.sha256(repr((context.cluster, context.user)).encode()).hexdigest()


@contextlib.asynccontextmanager
async def connect_all(sources: Mapping[str, Source], component: str) -> AsyncIterator[dict[str, Transport]]:
    """Open a transport per alias. Each stands alone: one that does not work raises Retry on use."""
    async with contextlib.AsyncExitStack() as stack:
        transports: dict[str, Transport] = {}
        for alias, source in sources.items():
            transports[alias] = await stack.enter_async_context(session.connect(source, component))
        yield transports


def groups(flags: Flags, environ: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the kubeconfig files there are; those that are to be read as one stand together. Raises CannotStart."""
    if flags.kubeconfig_suffix and not flags.kubeconfig_dir:
        raise CannotStart("--kubeconfig-suffix says which files of --kubeconfig-dir count: give that too")
    alone = [flags.kubeconfig] if flags.kubeconfig else []
    if flags.kubeconfig_dir:
        alone += _in_folder(flags.kubeconfig_dir, flags.kubeconfig_suffix)
    if flags.kubeconfig or flags.kubeconfig_dir:
        return [(file,) for file in alone]
    usual = environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    there = tuple(file for file in usual.split(os.pathsep) if file and Path(file).is_file())
    return [there] if there else []


def _in_folder(folder: str, suffix: str) -> list[str]:
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError as error:
        raise CannotStart(f"kubeconfig folder {folder} cannot be read: {error.strerror}") from error
    # Mounted secrets keep their data in folders and links that start with two dots.
    names = (one for one in entries if not one.name.startswith("..") and one.name.endswith(suffix))
    return [str(one) for one in names if not one.is_dir()]


def _own_cluster(flags: Flags, environ: Mapping[str, str]) -> Source | None:
    if not flags.in_cluster:
        return None
    if not (environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT")):
        return None
    token = flags.projected_token_file or f"{ACCOUNT}/token"
    if not Path(token).is_file():
        log.warning("looks like a pod, but there is no service account token; using kubeconfig", file=token)
        return None
    return Source(INFRA, in_cluster=True, token_file=flags.projected_token_file)
