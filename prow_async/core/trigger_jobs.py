"""What trigger's three kinds of event share: where a delivery comes from, and the actions they all return."""

from collections.abc import Iterable, Mapping

import msgspec

from prow_async.api import names
from prow_async.api.actions import AddLabel, CreateComment, CreateProwJob, RemoveLabel
from prow_async.api.github import Repo, User
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.api.plugin_config import Trigger
from prow_async.api.prowjob import ProwJobSpec, Refs
from prow_async.core import filters, identity, newjob, replies

CREATOR = "trigger"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery, the repository and the settings in force."""

    installation: str
    guid: str
    repo: Repo
    settings: Trigger
    namespace: str
    now_s: float
    link_url: str
    """Where GitHub is, as people see it."""
    occasion: str
    """What happened, in words; goes into every job's cause."""
    explain_in_help: bool = False
    """Say in the answer to `/test ?` why each job does or does not start by itself."""
    state: newjob.BirthState = "triggered"
    """What jobs begin in."""

    @property
    def org(self) -> str:
        return self.repo.owner.login or self.repo.owner.name

    @property
    def full_repo(self) -> str:
        return f"{self.org}/{self.repo.name}"


def create_presubmits(
    origin: Origin, refs: Refs, choices: Iterable[filters.Choice[Presubmit]], extra_labels: Mapping[str, str]
) -> tuple[CreateProwJob, ...]:
    """Create the chosen presubmits, in the order of the configuration."""
    return tuple(
        _create(
            origin,
            newjob.presubmit_spec(c.job, refs),
            {
                **c.job.labels,
                **extra_labels,
                names.EVENT_GUID: origin.guid,
                names.IS_OPTIONAL_LABEL: "true" if c.job.optional else "false",
            },
            c,
        )
        for c in choices
        if c.runs
    )


def create_postsubmits(
    origin: Origin, refs: Refs, choices: Iterable[filters.Choice[Postsubmit]]
) -> tuple[CreateProwJob, ...]:
    """Create the chosen postsubmits, in the order of the configuration."""
    return tuple(
        _create(origin, newjob.postsubmit_spec(c.job, refs), {**c.job.labels, names.EVENT_GUID: origin.guid}, c)
        for c in choices
        if c.runs
    )


def _create(
    origin: Origin,
    spec: ProwJobSpec,
    labels: Mapping[str, str],
    choice: filters.Choice[Presubmit] | filters.Choice[Postsubmit],
) -> CreateProwJob:
    birth = newjob.Birth(
        name=identity.name_for(origin.installation, CREATOR, origin.full_repo, spec.type, spec.job, origin.guid),
        namespace=origin.namespace,
        now_s=origin.now_s,
        cause=f"{origin.occasion} (delivery {origin.guid}): {choice.why}",
        state=origin.state,
    )
    job = newjob.new_prowjob(spec, labels, choice.job.annotations, birth)
    return CreateProwJob(job=job, why=f"{spec.job}: {choice.why}")


def by_bot(user: User, bot_login: str) -> bool:
    """True when the user is this bot."""
    return replies.wrote(user.login, bot_login)


def comment(origin: Origin, number: int, body: str, why: str) -> CreateComment:
    """Write under a pull request of the origin's repository."""
    return CreateComment(org=origin.org, repo=origin.repo.name, number=number, body=body, why=why)


def add_label(origin: Origin, number: int, label: str, why: str) -> AddLabel:
    """Label a pull request of the origin's repository."""
    return AddLabel(org=origin.org, repo=origin.repo.name, number=number, label=label, why=why)


def remove_label(origin: Origin, number: int, label: str, why: str) -> RemoveLabel:
    """Take a label off a pull request of the origin's repository."""
    return RemoveLabel(org=origin.org, repo=origin.repo.name, number=number, label=label, why=why)
