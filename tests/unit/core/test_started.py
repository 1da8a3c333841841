"""started.json and finished.json, in Go's form."""

import pytest

from prow_async.api.clonerecords import NO_REFS, Record
from prow_async.api.jobspec import JobSpec
from prow_async.api.prowjob import Pull, Refs
from prow_async.api.runrecords import Finished, Started
from prow_async.core import podenv, started

BASE = Refs("o", "r", base_ref="main", base_sha="b4se")
PULLS = Refs("o", "r", base_ref="main", base_sha="b4se", pulls=(Pull(number=7, sha="p7"), Pull(number=8, sha="p8")))
AUXILIARY = Refs("o", "aux", base_ref="main", base_sha="4ux", auxiliary=True)
EXTRA = Refs("o", "extra", base_ref="dev")


@pytest.mark.parametrize(
    ("refs", "extra", "records", "commit"),
    [
        (None, (), (), ""),
        (BASE, (EXTRA,), (), "b4se"),
        (PULLS, (), (), "p7"),
        (None, (AUXILIARY, EXTRA), (), "dev"),
        (None, (AUXILIARY,), (), ""),
        (PULLS, (), (Record(NO_REFS), Record(BASE, final_sha="no"), Record(PULLS, final_sha="yes")), "yes"),
        (PULLS, (), (Record(PULLS, failed=True),), "p7"),
        (None, (EXTRA,), (Record(EXTRA, final_sha="e"),), "e"),
        (None, (), (Record(NO_REFS, final_sha="no"),), ""),
    ],
)
def test_which_code(refs: Refs | None, extra: tuple[Refs, ...], records: tuple[Record, ...], commit: str) -> None:
    found = started.started(JobSpec("periodic", "j", "1", "pj", refs, extra), records, 99)
    assert (found.repo_commit, found.repo_version, found.timestamp) == (commit, commit, 99)
    assert found.pull == ("7" if refs is PULLS else "")


def test_gos_form() -> None:
    found = started.started(JobSpec("presubmit", "j", "1", "pj", PULLS, (EXTRA,)), (), 99)
    repos = '{"o/extra":"dev","o/r":"main:b4se,7:p7,8:p8"}'
    expected = f'{{"timestamp":99,"pull":"7","repos":{repos},"repo-commit":"p7","repo-version":"p7"}}'
    assert podenv.go_json(found) == expected
    assert podenv.go_json(Started()) == '{"timestamp":0}'
    assert podenv.go_json(Finished()) == '{"passed":null}'
    whole = Finished(timestamp=5, passed=True, metadata={"b": 1, "a": "<"}, result="SUCCESS", revision="r")
    expected = '{"timestamp":5,"passed":true,"metadata":{"a":"\\u003c","b":1},"result":"SUCCESS","revision":"r"}'
    assert podenv.go_json(whole) == expected
