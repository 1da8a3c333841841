"""Equal causes give equal names, equal content equal digests; anything else differs."""

import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api import names
from prow_async.api.prowjob import ProwJobStatus
from prow_async.core import identity, podspec
from tests.unit.core import samples

name: Callable[..., str] = identity.name_for
PARTS = ("inst", "trigger", "o/r", "presubmit", "unit", samples.GUID, 0)


def test_name_is_stable() -> None:
    """The name of a cause never changes between versions of the program, or jobs would run twice."""
    assert identity.name_for(*PARTS) == "eb82f7f1-fdeb-5d17-b02f-1597f8191dce"
    assert uuid.UUID(identity.name_for(*PARTS)).version == 5


@pytest.mark.parametrize("place", range(7))
def test_every_part_counts(place: int) -> None:
    """Changing any one part gives another name."""
    other: list[Any] = list(PARTS)
    other[place] = 1 if place == 6 else f"{other[place]}x"
    assert identity.name_for(*other) != identity.name_for(*PARTS)


@given(st.lists(st.text(alphabet='ab/",[]\\', max_size=4), min_size=6, max_size=6), st.data())
def test_parts_do_not_run_together(parts: list[str], data: st.DataObject) -> None:
    """Text that moves from one part into the next gives another name."""
    other = data.draw(st.permutations(parts))
    same = list(other) == parts
    assert (name(*parts) == name(*other)) is same


def test_spec_digest_sees_the_spec_only() -> None:
    """Status and metadata do not count; every field of the spec does."""
    job = samples.prowjob()
    moved = msgspec.structs.replace(job, status=ProwJobStatus(state="pending"))
    assert identity.spec_digest(job) == identity.spec_digest(moved)
    assert len(identity.spec_digest(job)) == 32
    assert identity.spec_digest(job) != identity.spec_digest(samples.prowjob(cluster="other"))


def test_spec_digest_survives_the_server() -> None:
    """A spec read back with its keys in another order has the digest it was sent with."""
    job = samples.prowjob(pod_spec={"b": 1, "a": {"y": [1, 2], "x": None}})
    shuffled = samples.prowjob(pod_spec={"a": {"x": None, "y": [1, 2]}, "b": 1})
    assert identity.spec_digest(job) == identity.spec_digest(shuffled)


def test_pod_digest_leaves_itself_out() -> None:
    """The digest annotation of a pod is the digest of the rest."""
    pod = podspec.pod_for(samples.prowjob(), "1", "pods", 0)
    carried = pod["metadata"]["annotations"][names.DIGEST]
    assert identity.pod_digest(pod) == carried
    pod["metadata"]["annotations"][names.DIGEST] = "another"
    assert identity.pod_digest(pod) == carried
    pod["metadata"]["annotations"][names.ATTEMPT] = "1"
    assert identity.pod_digest(pod) != carried
