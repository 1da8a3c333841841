"""Small, complete nouns to start a test from; each test names only what it is about."""

from typing import Any

import msgspec

from prow_async.api.github import Branch, GenericComment, PullRequest, Repo, User
from prow_async.api.jobconfig import Presubmit
from prow_async.api.plugin_config import Trigger
from prow_async.api.prowjob import ObjectMeta, ProwJob, ProwJobSpec, Pull, Refs
from prow_async.api.views import JobView, PodView, PullView
from prow_async.core import trigger_jobs

REPO = Repo(name="r", owner=User(login="o"), full_name="o/r", html_url="https://github.com/o/r")
PULL = Pull(number=5, author="ann", sha="5" * 40, title="Fix <it> & more", head_ref="topic")
REFS = Refs("o", "r", "https://github.com/o/r", base_ref="main", base_sha="b" * 40, pulls=(PULL,))
GUID = "5f0c2d2a-0000-4000-8000-000000000001"


def view(**changes: Any) -> JobView:
    """A failed presubmit of o/r#5."""
    job = JobView(
        name="job-1",
        namespace="ci",
        uid="uid-1",
        resource_version="7",
        created_s=1000.0,
        type="presubmit",
        agent="kubernetes",
        job="unit",
        context="ci/unit",
        report=True,
        rerun_command="/test unit",
        org="o",
        repo="r",
        base_ref="main",
        base_sha="b" * 40,
        pulls=(PullView(5, "5" * 40, "ann"),),
        optional=False,
        state="failure",
        description="Job failed.",
        url="https://ci.example/1",
        start_s=1000.0,
        completion_s=2000.0,
    )
    return msgspec.structs.replace(job, **changes)


def pod(**changes: Any) -> PodView:
    """The pod of `view()`."""
    found = PodView(
        name="job-1",
        namespace="pods",
        uid="pod-uid-1",
        resource_version="9",
        created_s=1000.0,
        job_name="job-1",
        created_by_prow=True,
        owner_uid="uid-1",
        attempt=0,
        phase="Succeeded",
        start_s=1000.0,
    )
    return msgspec.structs.replace(found, **changes)


def presubmit(name: str = "unit", **changes: Any) -> Presubmit:
    """A presubmit as the loader hands it over."""
    job = Presubmit(
        name=name,
        context=name,
        agent="kubernetes",
        cluster="default",
        namespace="pods",
        trigger=rf"(?m)^/test( | .* ){name},?($|\s.*)",
        rerun_command=f"/test {name}",
        spec={"containers": [{"image": "img", "command": ["true"]}]},
    )
    return msgspec.structs.replace(job, **changes)


def prowjob(**changes: Any) -> ProwJob:
    """An undecorated presubmit object; `changes` go into its spec."""
    spec = ProwJobSpec(
        type="presubmit",
        agent="kubernetes",
        cluster="default",
        job="unit",
        context="ci/unit",
        refs=REFS,
        pod_spec={"containers": [{"image": "img", "command": ["true"]}]},
    )
    meta = ObjectMeta(name="job-1", namespace="ci", uid="uid-1", labels={"team": "a"}, annotations={"note": "x"})
    return ProwJob(metadata=meta, spec=msgspec.structs.replace(spec, **changes))


def pull_request(**changes: Any) -> PullRequest:
    """An open pull request o/r#5 by ann onto main."""
    pr = PullRequest(
        number=5,
        html_url="https://github.com/o/r/pull/5",
        user=User(login="ann", html_url="https://github.com/ann"),
        title="Fix <it> & more",
        state="open",
        base=Branch(ref="main", sha="a" * 40, repo=REPO),
        head=Branch(ref="topic", sha="5" * 40),
    )
    return msgspec.structs.replace(pr, **changes)


def comment(body: str, **changes: Any) -> GenericComment:
    """A new comment by ben on the open pull request o/r#5 of ann."""
    made = GenericComment(
        action="created",
        is_pr=True,
        number=5,
        body=body,
        html_url="https://github.com/o/r/pull/5#issuecomment-1",
        user=User(login="ben"),
        repo=REPO,
        issue_author=User(login="ann"),
        issue_state="open",
        guid=GUID,
    )
    return msgspec.structs.replace(made, **changes)


def origin(settings: Trigger | None = None) -> trigger_jobs.Origin:
    return trigger_jobs.Origin(
        installation="inst",
        guid=GUID,
        repo=REPO,
        settings=settings or Trigger(),
        namespace="ci",
        now_s=1000.0,
        link_url="https://github.com",
        occasion="something happened",
    )
