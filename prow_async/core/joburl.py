"""Where a job's page is: the Details link on GitHub.

Source: upstream pkg/pjutil/pjutil.go JobURL, pkg/config/config.go GetJobURLPrefix.
"""

from urllib.parse import quote, unquote, urlsplit

from prow_async.api import jobspec
from prow_async.api.config import Plank
from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import GCSConfiguration, ProwJob
from prow_async.core import gotemplate, storage_paths, urls

_SAFE_IN_PATHS = "$&+,/:;=@"
"""What Go's net/url leaves alone in a path, beside letters, digits and -_.~"""


def render(job: ProwJob, plank: Plank, pages: str = "") -> str:
    """Return where a job's page is: for a decorated job the prefix and the place of its files, else by the template.

    A prefix that is no URL, a run without a place and a template that does not execute give an empty URL, as upstream.
    `pages` is the address of our own pages, where links lead when there is neither prefix nor template: to the job's
    files if it is decorated, else to its state.
    """
    decoration = job.spec.decoration_config
    storage = decoration.gcs_configuration if decoration is not None else None
    prefix = prefix_of(job, plank) or (f"{pages}/view" if pages and not plank.job_url_template else "")
    if storage is not None and prefix:
        return _below(prefix, job, storage, plank)
    if not plank.job_url_template:
        return f"{pages}/job/{job.metadata.name}" if pages else ""
    try:
        return gotemplate.parse(plank.job_url_template).execute(job)
    except gotemplate.TemplateError:
        return ""


def prefix_of(job: ProwJob, plank: Plank) -> str:
    """Return what the links to a job's files begin with: its own prefix, or that of its repo, its org, or `*`."""
    decoration = job.spec.decoration_config
    if decoration is not None and decoration.gcs_configuration is not None:
        own = decoration.gcs_configuration.job_url_prefix
        if own:
            return own
    refs = job.spec.refs or next(iter(job.spec.extra_refs), None)
    keys = (f"{refs.org}/{refs.repo}", refs.org, "*") if refs is not None and refs.org else ("*",)
    return next((found for key in keys if (found := plank.job_url_prefix_config.get(key))), "")


def _below(prefix: str, job: ProwJob, storage: GCSConfiguration, plank: Plank) -> str:
    try:
        folder = storage_paths.run_folder(jobspec.of(job, job.status.build_id), storage)
    except UserMistake:
        return ""
    if urls.problem(prefix):
        return ""
    scheme, marked, bucket = storage.bucket.partition("://")
    provider, bucket = (scheme, bucket) if marked else ("gs", storage.bucket)
    if plank.job_url_prefix_disable_append_storage_provider:
        provider = ""
    parts = urlsplit(prefix)
    path = quote(storage_paths.join(unquote(parts.path), provider, bucket, folder), safe=_SAFE_IN_PATHS)
    return parts._replace(path=path if path.startswith("/") or not parts.netloc else f"/{path}").geturl()
