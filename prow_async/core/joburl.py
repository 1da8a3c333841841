"""Where a job's page is: the Details link on GitHub.

Source: upstream pkg/pjutil/pjutil.go JobURL. The storage prefixes of decorated jobs join this when their pods do.
"""

from prow_async.api.config import Plank
from prow_async.api.prowjob import ProwJob
from prow_async.core import gotemplate


def render(job: ProwJob, plank: Plank, pages: str = "") -> str:
    """Execute the job URL template on a job; a template that does not execute gives an empty URL, as upstream.

    `pages` is the address of our own job pages, where links lead when there is no template.
    """
    if not plank.job_url_template:
        return f"{pages}/job/{job.metadata.name}" if pages else ""
    try:
        return gotemplate.parse(plank.job_url_template).execute(job)
    except gotemplate.TemplateError:
        return ""
