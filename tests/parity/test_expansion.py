"""Production jobs, expanded by us and by upstream: the same ProwJobs and the same pods."""

import difflib
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prow_async.core import config_load, preview

REAL = Path(__file__).parents[3] / "shared" / "real"
SHOWN = 5

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no production configuration beside the checkout")

Key = tuple[str, str, str, str]
Rows = dict[Key, list[dict[str, Any]]]


def key(row: dict[str, Any]) -> Key:
    return row["kind"], row["repo"], row["job"], row["source"].rpartition("config/jobs/")[2]


@pytest.fixture(scope="module")
def upstream() -> Rows:
    found: Rows = defaultdict(list)
    with gzip.open(REAL / "expected-prowjobs-and-pods.jsonl.gz", "rt") as lines:
        for line in lines:
            if line.strip():
                row = json.loads(line)
                found[key(row)].append(row)
    return found


@pytest.fixture(scope="module")
def ours() -> Rows:
    tree = REAL / "prow-config" / "config"
    files = sorted(path for path in (tree / "jobs").rglob("*") if path.suffix in {".yaml", ".yml"})
    main = config_load.SourceFile(str(tree / "prow" / "config.yaml"), (tree / "prow" / "config.yaml").read_bytes())
    loaded = config_load.load(main, [config_load.SourceFile(str(path), path.read_bytes()) for path in files])
    found: Rows = defaultdict(list)
    for row in preview.rows(loaded.config, preview.Inputs()):
        plain = json.loads(msgspec.json.encode(row))
        found[key(plain)].append(plain)
    return found


def as_kubernetes_sees_it(value: Any, at: str = "") -> Any:
    """Nulls, empty objects, creation timestamps and empty strings outside labels and annotations fall away."""
    if isinstance(value, dict):
        kept = {k: as_kubernetes_sees_it(v, k) for k, v in value.items() if k != "creationTimestamp"}
        marks = at in ("labels", "annotations")
        return {k: v for k, v in kept.items() if v is not None and (v != "" or marks)} or None
    if isinstance(value, list):
        return [as_kubernetes_sees_it(one) for one in value] or None
    return value


def pretty(value: Any) -> list[str]:
    return json.dumps(as_kubernetes_sees_it(value), indent=1, sort_keys=True).splitlines()


def differences(theirs: Rows, mine: Rows) -> Iterator[str]:
    for name in sorted(theirs.keys() | mine.keys()):
        left, right = theirs.get(name, []), mine.get(name, [])
        if len(left) != len(right):
            yield f"{name}: upstream has {len(left)}, we have {len(right)}"
        for want, got in zip(left, right, strict=False):
            for part in ("prowjob", "pod"):
                if as_kubernetes_sees_it(want[part]) != as_kubernetes_sees_it(got[part]):
                    lines = difflib.unified_diff(pretty(want[part]), pretty(got[part]), "upstream", "ours", n=2)
                    yield "\n".join([f"{name} {part}", *lines])


def test_every_prowjob_and_pod_is_upstreams(upstream: Rows, ours: Rows) -> None:
    """Equal to the byte within the JSON of the `*_OPTIONS` and JOB_SPEC variables, too."""
    assert sum(map(len, upstream.values())) > 300
    found = list(differences(upstream, ours))
    assert found == [], f"{len(found)} differ; the first:\n" + "\n\n".join(found[:SHOWN])


def test_a_difference_is_told(upstream: Rows, ours: Rows) -> None:
    """One changed variable of one pod is one difference, shown by its lines."""
    name, rows = next(iter(ours.items()))
    changed = msgspec.json.decode(msgspec.json.encode(rows[0]))
    changed["pod"]["spec"]["containers"][0]["workingDir"] = "/elsewhere"
    [told] = differences(upstream, {**ours, name: [changed, *rows[1:]]})
    assert '+    "workingDir": "/elsewhere"' in told
    assert rows[0]["job"] in told
