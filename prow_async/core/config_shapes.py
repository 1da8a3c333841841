"""Shapes of Prow's configuration that go beyond what the types of its Structs say: durations, pods, unions."""

import typing
from typing import Any

import msgspec

from prow_async.api import config, config_deck, config_sections, config_tide, jobconfig, prowjob
from prow_async.core import durations, goconvert, instants, podshape
from prow_async.core.goconvert import Report, Shape


def duration_text(value: Any, report: Report) -> Any:
    """Take a Go duration in text and return its canonical spelling."""
    return _canonical(value, report) if isinstance(value, str) else goconvert.strict_text(value, report)


def prow_duration(value: Any, report: Report) -> Any:
    """Take a Go duration in text, or whole nanoseconds; return the canonical text."""
    if isinstance(value, str):
        return _canonical(value, report)
    nanoseconds = goconvert.integer(value, report)
    return nanoseconds if nanoseconds is goconvert.DROP else durations.format_ns(nanoseconds)


def _canonical(text: str, report: Report) -> Any:
    try:
        return durations.format_ns(durations.parse_ns(text))
    except durations.DurationError as error:
        return report.error(str(error))


JOB_KEYS: dict[str, Shape] = dict.fromkeys(
    ("presets", "presubmits", "postsubmits", "periodics", "prow_ignored"), goconvert.any_value
)


def _structs(hint: Any, found: set[type[msgspec.Struct]]) -> set[type[msgspec.Struct]]:
    """Gather every Struct type that a type is made of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if hint not in found:
            found.add(hint)
            for inner in typing.get_type_hints(hint).values():
                _structs(inner, found)
    else:
        for inner in typing.get_args(hint):
            _structs(inner, found)
    return found


_TIMED = tuple(
    struct
    for struct in _structs(config.Config, set())
    if any(f"{field}_s" in struct.__struct_fields__ for field in struct.__struct_fields__)
)


def merge_methods(value: Any, report: Report) -> Any:
    """Fit `tide.merge_method`: each level is a method, or a mapping of the next one."""
    if not isinstance(value, dict):
        return report.error(f"expected a mapping, found {goconvert.kind(value)}")

    def level(part: Any, below: str, inner: Shape) -> Any:
        if part is None:
            return {}
        if isinstance(part, dict):
            fitted = inner(part, report)
            return fitted if fitted is goconvert.DROP else {below: fitted}
        method = goconvert.string(part, report)
        return method if method is goconvert.DROP else {"method": method}

    branches = goconvert.map_of(goconvert.string, str)
    repos = goconvert.map_of(lambda part, _: level(part, "branches", branches), dict)
    return goconvert.map_of(lambda part, _: level(part, "repos", repos), dict)(value, report)


def instant(value: Any, report: Report) -> Any:
    """Take an RFC 3339 time in text."""
    text = goconvert.strict_text(value, report)
    if text is goconvert.DROP:
        return text
    try:
        instants.seconds(text)
    except ValueError:
        return report.error(f'"{text}" is no time such as 2026-01-02T03:04:05Z')
    return text


def _special() -> dict[tuple[type, str], Shape]:
    dicts = goconvert.list_of
    special: dict[tuple[type, str], Shape] = {
        (jobconfig.JobBase, "spec"): podshape.pod_spec,
        (jobconfig.JobBase, "pipeline_run_spec"): podshape.free_form,
        (prowjob.TektonPipelineRunSpec, "v1beta1"): podshape.free_form,
        (jobconfig.Preset, "env"): dicts(podshape.env_var, dict),
        (jobconfig.Preset, "volumes"): dicts(podshape.volume, dict),
        (jobconfig.Preset, "volumeMounts"): dicts(podshape.volume_mount, dict),
        (jobconfig.Preset, "tolerations"): dicts(podshape.toleration, dict),
        (prowjob.DecorationConfig, "default_memory_request"): podshape.quantity_shape,
        (prowjob.SchedulingOptions, "affinity"): podshape.affinity,
        (prowjob.SchedulingOptions, "tolerations"): dicts(podshape.toleration, dict),
    }
    special[config_tide.Tide, "merge_method"] = merge_methods
    special[config_sections.ManagedWebhook, "token_created_after"] = instant
    special[config_deck.Lens, "config"] = goconvert.raw_value
    special[config.Config, "prow_ignored"] = goconvert.raw_value
    special[config.Config, "default_job_timeout"] = duration_text
    for name in config_sections.ExternalSchedulingCache.__struct_fields__:
        special[config_sections.ExternalSchedulingCache, name] = duration_text
    for name in ("timeout", "grace_period"):
        special[prowjob.DecorationConfig, name] = prow_duration
    for name in ("pod_pending_timeout", "pod_running_timeout", "pod_unscheduled_timeout"):
        special[prowjob.DecorationConfig, name] = duration_text
    for name in prowjob.UtilityResources.__struct_encode_fields__:
        special[prowjob.UtilityResources, name] = podshape.resources
    for struct in _TIMED:
        for name in struct.__struct_fields__:
            if f"{name}_s" in struct.__struct_fields__:
                special[struct, name] = duration_text
    return special


def _hidden() -> frozenset[str]:
    timed = {
        f for struct in _TIMED for f in struct.__struct_fields__ if f.removesuffix("_s") in struct.__struct_fields__
    }
    return frozenset({f for f in timed if f.endswith("_s")} | {"source", *JOB_KEYS} - {"prow_ignored"})


CONVERTER = goconvert.Converter(_special(), _hidden())
