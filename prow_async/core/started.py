"""What started.json says of a run.

Source: upstream pkg/pod-utils/downwardapi/jobspec.go (refsToStarted).
"""

from collections.abc import Sequence

from prow_async.api.clonerecords import Record
from prow_async.api.jobspec import JobSpec
from prow_async.api.prowjob import Refs
from prow_async.api.runrecords import Started
from prow_async.core import podenv


def started(spec: JobSpec, records: Sequence[Record], timestamp_s: int) -> Started:
    """Return a run's start: which code it has, as cloned where the records tell it."""
    main = main_refs(spec.refs, spec.extra_refs)
    commit = _cloned(main, records) or revision(spec.refs, spec.extra_refs)
    pulls = spec.refs.pulls if spec.refs is not None else ()
    everything = (spec.refs, *spec.extra_refs) if spec.refs is not None else spec.extra_refs
    return Started(
        timestamp=timestamp_s,
        pull=str(pulls[0].number) if pulls else "",
        repos={f"{refs.org}/{refs.repo}": podenv.refs_text(refs) for refs in everything},
        repo_commit=commit,
        repo_version=commit,
    )


def revision(refs: Refs | None, extra_refs: Sequence[Refs]) -> str:
    """Return the commit or branch under test as the job states it: of the first pull, else of the base; "" for none."""
    main = main_refs(refs, extra_refs)
    if main is None:
        return ""
    return main.pulls[0].sha if main.pulls else main.base_sha or main.base_ref


def main_refs(refs: Refs | None, extra_refs: Sequence[Refs]) -> Refs | None:
    """Return the refs a job is about: its own, else the first extra ones that are not auxiliary."""
    return refs if refs is not None else next((extra for extra in extra_refs if not extra.auxiliary), None)


def _cloned(main: Refs | None, records: Sequence[Record]) -> str:
    return next((record.final_sha for record in records if record.refs == main), "")
