"""Completes jobs: what a job leaves open is filled in from the main configuration and the presets.

Source: upstream pkg/config/config.go (defaultPresubmits, defaultPostsubmits, defaultPeriodics, resolvePresets).
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from prow_async.api import config
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Preset, Presubmit
from prow_async.api.prowjob import DecorationConfig, Json
from prow_async.core import config_decoration

J = TypeVar("J", bound=JobBase)

KUBERNETES = "kubernetes"
DEFAULT_CLUSTER = config_decoration.DEFAULT_CLUSTER


class Context:
    """What completing a job depends on besides the job: the main configuration and every preset.

    One Context answers for all jobs of a load; as long as it is the same object, completed jobs stay valid.
    """

    def __init__(self, main: config.Config, presets: Sequence[Preset]) -> None:
        self.main = main
        self.presets = tuple(presets)
        self.defaults = config_decoration.Defaults(
            main.plank.default_decoration_config_entries, main.prowjob_default_entries
        )
        self._by_label: dict[tuple[str, str] | None, list[int]] = {}
        for number, preset in enumerate(self.presets):
            self._by_label.setdefault(next(iter(preset.labels.items()), None), []).append(number)

    def presets_for(self, labels: dict[str, str]) -> list[Preset]:
        """Return the presets that apply to a job with these labels, in their order."""
        if not self._by_label:
            return []
        numbers = list(self._by_label.get(None, ()))
        for pair in labels.items():
            numbers += [n for n in self._by_label.get(pair, ()) if self.presets[n].labels.items() <= labels.items()]
        return [self.presets[number] for number in sorted(numbers)]


def trigger_for(name: str) -> str:
    """Return the default trigger. The name is not escaped, as upstream: a dot in it matches any character."""
    return rf"(?m)^/test( | .* ){name},?($|\s.*)"


def rerun_command_for(name: str) -> str:
    return f"/test {name}"


def complete_presubmit(job: Presubmit, repo: str, context: Context) -> tuple[Presubmit, list[str]]:
    """Return the completed job and what is wrong with applying presets to it."""
    changes, wrong = _common(job, repo, context)
    changes["context"] = job.context or job.name
    if not job.trigger and not job.rerun_command:
        changes["trigger"] = trigger_for(job.name)
        changes["rerun_command"] = rerun_command_for(job.name)
    return msgspec.structs.replace(job, **changes), wrong


def complete_postsubmit(job: Postsubmit, repo: str, context: Context) -> tuple[Postsubmit, list[str]]:
    changes, wrong = _common(job, repo, context)
    changes["context"] = job.context or job.name
    return msgspec.structs.replace(job, **changes), wrong


def complete_periodic(job: Periodic, repo: str, context: Context) -> tuple[Periodic, list[str]]:
    """Complete a periodic; its defaults are those of the repo in its first extra_ref (`repo` is not used)."""
    first = job.extra_refs[0].full_name if job.extra_refs else ""
    changes, wrong = _common(job, first, context)
    return msgspec.structs.replace(job, **changes), wrong


def _common(job: JobBase, repo: str, context: Context) -> tuple[dict[str, Any], list[str]]:
    main = context.main
    cluster = job.cluster or DEFAULT_CLUSTER
    changes: dict[str, Any] = {
        "agent": job.agent or KUBERNETES,
        "cluster": cluster,
        "namespace": job.namespace or main.pod_namespace,
        "prowjob_defaults": _prowjob_defaults(job, repo, cluster, context),
    }
    decorate = main.decorate_all_jobs if job.decorate is None else job.decorate
    if decorate:
        default = context.defaults.decoration(repo, cluster)
        changes["decoration_config"] = config_decoration.filled(job.decoration_config, default) or DecorationConfig()
    wrong: list[str] = []
    if job.spec is not None:
        chosen = context.presets_for(job.labels)
        if chosen:
            changes["spec"] = _with_presets(job.spec, chosen, wrong)
    return changes, wrong


def _prowjob_defaults(job: JobBase, repo: str, cluster: str, context: Context) -> Any:
    default = context.defaults.prowjob(repo, cluster)
    own = job.prowjob_defaults
    return default if own is None else config_decoration.filled(own, default)


def _with_presets(spec: Json, presets: list[Preset], wrong: list[str]) -> Json:
    """Return a copy of a pod spec with the presets' parts appended; duplicates are noted in `wrong`."""
    out = dict(spec)
    for field in ("volumes", "tolerations"):
        added = [item for preset in presets for item in getattr(preset, field)]
        if added:
            out[field] = _appended(out.get(field) or [], added, field, wrong)
    containers = out.get("containers")
    if isinstance(containers, list):
        out["containers"] = [_container(container, presets, wrong) for container in containers]
    return out


def _container(container: Json, presets: list[Preset], wrong: list[str]) -> Json:
    out = dict(container)
    for attribute, field in (("env", "env"), ("volume_mounts", "volumeMounts")):
        added = [item for preset in presets for item in getattr(preset, attribute)]
        if added:
            out[field] = _appended(out.get(field) or [], added, field, wrong)
    return out


def _appended(present: list[Json], added: list[Json], field: str, wrong: list[str]) -> list[Json]:
    if field == "tolerations":
        for i, item in enumerate(added):
            if item in present or item in added[:i]:
                wrong.append(f"a preset adds a toleration that is there already: {item}")
        return [*present, *added]
    names = {item.get("name") for item in present}
    for item in added:
        name = item.get("name")
        if name in names:
            wrong.append(f'a preset adds {field} "{name}", which is there already')
        names.add(name)
    return [*present, *added]
