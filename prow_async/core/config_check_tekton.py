"""Rules for Tekton pipelines: how their tasks refer to the code under test and to extra_refs.

Source: upstream pkg/config/config.go ValidatePipelineRunSpec.
"""

import re
from collections.abc import Iterator
from typing import Any

from prow_async.api.jobconfig import JobBase, Periodic
from prow_async.api.prowjob import Json

IMPLICIT_REF = "PROW_IMPLICIT_GIT_REF"
"""Stands for the job's own refs."""
_EXTRA_REF = re.compile(r"PROW_EXTRA_GIT_REF_([0-9]+)", re.ASCII)
"""Stands for one of its extra_refs."""


def problems(job: JobBase) -> Iterator[str]:
    """Yield what is wrong with how a job's pipeline refers to code. A pipeline elsewhere is not looked at."""
    spec = job.pipeline_run_spec
    if job.tekton_pipeline_run_spec is not None and job.tekton_pipeline_run_spec.v1beta1 is not None:
        spec = job.tekton_pipeline_run_spec.v1beta1
    named = _named(spec)
    if named is None:
        return
    if isinstance(job, Periodic) and IMPLICIT_REF in named:
        yield f"pipeline_run_spec: {IMPLICIT_REF} stands for the code of an event, which a periodic has not"
    used: set[int] = set()
    for name in named:
        found = _EXTRA_REF.fullmatch(name)
        if found is None:
            continue
        if found[1] != str(int(found[1])):
            yield f"pipeline_run_spec: {name}: the number must not begin with 0"
        else:
            used.add(int(found[1]))
    for number in range(len(job.extra_refs)):
        if number not in used:
            yield f"extra_refs: number {number} is used by no task; one must name PROW_EXTRA_GIT_REF_{number}"
    for number in sorted(used):
        if number >= len(job.extra_refs):
            text = f"PROW_EXTRA_GIT_REF_{number} stands for no extra_ref: there are {len(job.extra_refs)}"
            yield f"pipeline_run_spec: {text}"


def _named(spec: Json | None) -> list[str] | None:
    """Return the names that the tasks of a pipeline have and refer to; None where it has none of its own."""
    pipeline: Any = (spec or {}).get("pipelineSpec")
    tasks: Any = pipeline.get("tasks") if isinstance(pipeline, dict) else None
    if not isinstance(tasks, list):
        return None
    named: list[str] = []
    for task in tasks:
        if isinstance(task, dict):
            reference = task.get("taskRef")
            named += (str(part.get("name")) for part in (task, reference) if isinstance(part, dict))
    return named
