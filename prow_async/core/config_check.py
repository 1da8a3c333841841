"""Rules for single jobs, applied once they are complete. Each yields every problem it finds, as text for people.

A text that begins with the name of a job's key and a colon is about that key; core/config_load looks its line up.

Source: upstream pkg/config/config.go validateJobBase, validatePresubmits, validatePostsubmits, validatePeriodics.
"""

import re
from collections.abc import Callable, Iterator

from prow_async.api import names
from prow_async.api.config import Config
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Presubmit
from prow_async.api.prowjob import RerunAuthConfig
from prow_async.core import config_check_pod, config_check_tekton, config_jobs, cron, durations, patterns, urls
from prow_async.core import labels as label_rules
from prow_async.core.config_jobs import KUBERNETES

TEKTON = "tekton-pipeline"
JENKINS = "jenkins"

_JOB_NAME = re.compile(r"[A-Za-z0-9\-._]+", re.ASCII)
_JENKINS_NAME = re.compile(r"[A-Za-z0-9\-._]+(/[A-Za-z0-9\-._]+)*", re.ASCII)
_RESERVED_LABELS = frozenset({names.TYPE_LABEL, names.CREATED_BY_PROW, names.ID_LABEL})


def presubmit_problems(job: Presubmit, main: Config) -> Iterator[str]:
    """Yield what is wrong with one completed presubmit."""
    yield from _base_problems(job, main)
    yield from _change_problems(job)
    if job.always_run and (job.run_if_changed or job.skip_if_only_changed):
        yield "always_run: cannot be set together with run_if_changed or skip_if_only_changed"
    yield from _reporting_problems(job)
    if not job.trigger or not job.rerun_command:
        yield "trigger: trigger and rerun_command must both be set or both be left out"
        return
    if job.trigger == config_jobs.trigger_for(job.name) and _JOB_NAME.fullmatch(job.name):
        return  # compiles and matches by construction; compiled when first used
    why = patterns.problem(job.trigger)
    if why:
        yield f"trigger: {why}"
    elif not patterns.compile(job.trigger).search(job.rerun_command):
        yield f'rerun_command: "{job.rerun_command}" does not match the trigger `{job.trigger}`'


def postsubmit_problems(job: Postsubmit, main: Config) -> Iterator[str]:
    """Yield what is wrong with one completed postsubmit."""
    yield from _base_problems(job, main)
    yield from _change_problems(job)
    if job.always_run and (job.run_if_changed or job.skip_if_only_changed):
        yield "always_run: cannot be true together with run_if_changed or skip_if_only_changed"
    yield from _reporting_problems(job)


def periodic_problems(job: Periodic, main: Config) -> Iterator[str]:
    """Yield what is wrong with one completed periodic."""
    yield from _base_problems(job, main)
    given = [name for name in ("cron", "interval", "minimum_interval") if getattr(job, name)]
    if len(given) > 1:
        yield f"{given[-1]}: only one of cron, interval and minimum_interval can be set"
    elif not given:
        yield "needs one of cron, interval and minimum_interval"
    yield from _parsed("cron", job.cron, cron.parse)
    yield from _parsed("interval", job.interval, durations.parse_ns)
    yield from _parsed("minimum_interval", job.minimum_interval, durations.parse_ns)
    if job.retry is not None:
        if not job.retry.interval:
            yield "retry: needs an interval"
        yield from _parsed("retry: interval", job.retry.interval, durations.parse_ns)


def _parsed(key: str, text: str, parse: Callable[[str], object]) -> Iterator[str]:
    if text:
        try:
            parse(text)
        except ValueError as error:
            yield f"{key}: {error}"


def _reporting_problems(job: Presubmit | Postsubmit) -> Iterator[str]:
    if job.skip_report and job.labels.get(names.GERRIT_REPORT_LABEL):
        yield f"skip_report: cannot be set together with the label {names.GERRIT_REPORT_LABEL}"
    if not job.skip_report and not job.context:
        yield "context: a job that reports needs one"


def _change_problems(job: Presubmit | Postsubmit) -> Iterator[str]:
    if job.run_if_changed and job.skip_if_only_changed:
        yield "skip_if_only_changed: cannot be set together with run_if_changed"
    for key, pattern in (("run_if_changed", job.run_if_changed), ("skip_if_only_changed", job.skip_if_only_changed)):
        why = patterns.problem(pattern) if pattern else None
        if why:
            yield f"{key}: {why}"
    for key, listed in (("branches", job.branches), ("skip_branches", job.skip_branches)):
        why = patterns.problem("|".join(listed)) if listed else None
        if why:
            yield f"{key}: {why}"


def _base_problems(job: JobBase, main: Config) -> Iterator[str]:
    form = _JENKINS_NAME if job.agent == JENKINS else _JOB_NAME
    if not form.fullmatch(job.name):
        yield f'name: "{job.name}" must be made of letters, digits, "-", "." and "_"'
    if job.max_concurrency < 0:
        yield f"max_concurrency: {job.max_concurrency} must not be negative"
    yield from _agent_problems(job, main)
    yield from config_check_pod.pod_problems(job)
    yield from config_check_tekton.problems(job)
    yield from _mark_problems(job)
    if job.job_queue_name and job.job_queue_name not in main.plank.job_queue_capacities:
        yield f'job_queue_name: "{job.job_queue_name}" is not in plank.job_queue_capacities'
    if not config_check_pod.containers_of(job.spec):
        return  # as upstream: what follows is not asked of jobs without a pod
    if job.rerun_auth_config is not None:
        yield from _rerun_auth_problems(job.rerun_auth_config)
    yield from _clone_problems(job)
    yield from config_check_pod.decoration_problems(job)


def _agent_problems(job: JobBase, main: Config) -> Iterator[str]:
    if job.agent not in (KUBERNETES, JENKINS, TEKTON):
        return
    pipeline = job.pipeline_run_spec is not None or job.tekton_pipeline_run_spec is not None
    if job.spec is not None and job.agent != KUBERNETES:
        yield f"spec: needs agent {KUBERNETES}, the job has {job.agent}"
    if job.spec is None and job.agent == KUBERNETES:
        yield f"agent: {KUBERNETES} needs a spec"
    if pipeline and job.agent != TEKTON:
        yield f"agent: a pipeline spec needs {TEKTON}, the job has {job.agent}"
    if not pipeline and job.agent == TEKTON:
        yield f"agent: {TEKTON} needs a tekton_pipeline_run_spec"
    if job.decoration_config is not None and job.agent != KUBERNETES:
        yield f"decoration_config: needs agent {KUBERNETES}, the job has {job.agent}"
    if job.error_on_eviction and job.agent != KUBERNETES:
        yield f"error_on_eviction: needs agent {KUBERNETES}, the job has {job.agent}"
    if job.namespace != main.pod_namespace and job.agent != TEKTON:
        yield f'namespace: "{job.namespace}" must be pod_namespace, which is "{main.pod_namespace}"'


def _mark_problems(job: JobBase) -> Iterator[str]:
    for key in sorted(_RESERVED_LABELS.intersection(job.labels)):
        yield f"labels: {key} is set by the program and cannot be given"
    for key, value in job.labels.items():
        if not label_rules.is_key(key):
            yield f'labels: "{key}" is no label name'
        if not label_rules.is_value(value):
            yield f'labels: "{value}" is no value for label {key}: at most 63 letters, digits, "-", "_" and "."'
    for key in job.annotations:
        if not label_rules.is_key(key.lower()):
            yield f'annotations: "{key}" is no annotation name'


def _rerun_auth_problems(auth: RerunAuthConfig) -> Iterator[str]:
    listed = auth.github_users or auth.github_orgs or auth.github_team_ids or auth.github_team_slugs
    if auth.allow_anyone and listed:
        yield "rerun_auth_config: allow_anyone cannot be set together with a list of who may"


def _clone_problems(job: JobBase) -> Iterator[str]:
    """Look at clone_uri; at those of extra_refs too, as upstream, where the job itself has one."""
    if not job.clone_uri:
        return
    uses_token = job.decoration_config is not None and job.decoration_config.oauth_token_secret is not None
    uris = [("clone_uri", job.clone_uri), *(("extra_refs: clone_uri", ref.clone_uri) for ref in job.extra_refs)]
    for key, uri in uris:
        why = urls.problem(uri[uri.find("@") + 1 :])  # whoever comes before the @, as upstream
        if why:
            yield f"{key}: {why}"
        if uses_token and uri and not uri.startswith(("https://", "http://")):
            yield f"{key}: must begin with https:// when an oauth_token_secret is used"


def warnings(job: JobBase) -> Iterator[str]:
    """Yield what is odd about a completed job, yet no reason to refuse it."""
    if job.agent not in (KUBERNETES, JENKINS, TEKTON):
        yield f'agent: "{job.agent}" is none that Prow knows; nothing here will run the job'
