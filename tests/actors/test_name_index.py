"""The index of names, against a plain dictionary; and the two that stand on it, where hashes meet."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prow_async.actors.commit_index import CommitIndex
from prow_async.actors.name_index import NameIndex
from prow_async.actors.pull_index import PullIndex
from prow_async.actors.store import Store
from prow_async.api.views import JobView, PullView

STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from(["x", "y", "z"])))
HOME: dict[str, Any] = {"namespace": "prow", "resource_version": "1", "org": "acme", "repo": "app", "report": True}


@given(STEPS)
def test_it_holds_each_name_once_and_in_order(steps: list[tuple[bool, str, str]]) -> None:
    """Whatever is put and dropped, twice or never put: what is empty leaves nothing behind."""
    index, known = NameIndex(), dict[str, list[str]]()
    for put, key, name in steps:
        names = known.setdefault(key, [])
        if put:
            index.put(key, name)
            if name not in names:
                names.append(name)
        else:
            index.drop(key, name)
            if name in names:
                names.remove(name)
    assert {key: list(index.at(key)) for key in "abc"} == {key: known.get(key, []) for key in "abc"}
    assert len(index) == sum(1 for names in known.values() if names)


def job(name: str, number: int, context: str, created_s: float) -> JobView:
    pulls = (PullView(number, f"sha-{number}"),)
    own = {"name": name, "uid": name, "created_s": created_s, "pulls": pulls, "context": context}
    return JobView(type="presubmit", job=context, **HOME, **own)


class _Met(NameIndex):
    """All keys have the same hash."""

    def at(self, key: object) -> tuple[str, ...]:
        return super().at("one")

    def put(self, key: object, name: str) -> None:
        super().put("one", name)

    def drop(self, key: object, name: str) -> None:
        super().drop("one", name)


def test_keys_with_the_same_hash_are_told_apart() -> None:
    """A run of another pull request, or of another context, is never taken for one that was asked for."""
    jobs: Store[JobView] = Store()
    pulls, commits = PullIndex(jobs), CommitIndex(jobs)
    pulls._names, commits._names = _Met(), _Met()
    for one in (job("b", 1, "unit", 2.0), job("a", 1, "lint", 1.0), job("c", 2, "unit", 0.0)):
        jobs.put(one, b"")
    assert [one.name for one in pulls.jobs_of("acme", "app", 1)] == ["a", "b"]
    assert [one.name for one in commits.runs_of(("acme", "app", "sha-1", "unit"))] == ["b"]
    jobs.remove("b")
    assert [one.name for one in pulls.jobs_of("acme", "app", 1)] == ["a"]
    assert commits.runs_of(("acme", "app", "sha-1", "unit")) == []
    assert [one.name for one in commits.runs_of(("acme", "app", "sha-2", "unit"))] == ["c"]
