"""A repository's own configuration files to its jobs: defaults, presets, clusters, collisions, places of problems."""

import pytest

from prow_async.api.config import Config
from prow_async.api.errors import ConfigErrors
from prow_async.api.inrepo import RepoJobs
from prow_async.core import config_load, inrepo
from prow_async.core.config_load import SourceFile

POD = "spec: {containers: [{name: c, image: i, command: [x], env: []}]}"
MAIN = """
prowjob_namespace: ci
pod_namespace: pods
presets: [{labels: {p: global}, env: [{name: G, value: g}]}, {env: [{name: ALL, value: a}]}]
in_repo_config: {allowed_clusters: {'*': [default], o: [build], o/r: [own]}}
presubmits: {o/r: [{name: static, spec: {containers: [{image: i}]}}]}
postsubmits: {o/r: [{name: static-post, branches: [main], spec: {containers: [{image: i}]}}]}
"""


def config(text: str = MAIN) -> Config:
    return config_load.load(SourceFile("config.yaml", text.encode())).config


def jobs(*texts: str, main: Config | None = None) -> RepoJobs:
    files = [SourceFile(f".prow/{number}.yaml", text.encode()) for number, text in enumerate(texts)]
    return inrepo.complete(inrepo.parse("o/r", files), main or config())


def wrong(*texts: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        jobs(*texts)
    return [str(problem) for problem in caught.value.problems]


def test_static_jobs_come_first_then_the_files_in_order() -> None:
    found = jobs(
        f"presubmits: [{{name: b, {POD}}}]\npostsubmits: [{{name: p, {POD}}}]\nprow_ignored: {{any: thing}}",
        f"presubmits: [{{name: a, always_run: true, {POD}}}]",
    )
    assert [job.name for job in found.presubmits] == ["static", "b", "a"]
    assert [job.name for job in found.postsubmits] == ["static-post", "p"]
    b = found.presubmits[1]
    assert (b.context, b.cluster, b.namespace, b.agent, b.rerun_command) == (
        *("b", "default", "pods", "kubernetes", "/test b"),
    )
    assert (b.source.file, b.source.line) == (".prow/0.yaml", 1)
    assert found.warnings == ()


def test_presets_of_the_files_and_global_ones_apply_to_all_own_jobs() -> None:
    """A preset counts in every file of the repository, whichever it stands in, and in no static job."""
    found = jobs(
        f"presubmits: [{{name: b, labels: {{p: global, q: own}}, {POD}}}]",
        "presets: [{labels: {q: own}, env: [{name: O, value: o}]}]",
    )
    static, own = found.presubmits
    names = [env["name"] for env in (own.spec or {})["containers"][0]["env"]]
    assert sorted(names) == ["ALL", "G", "O"]
    assert [env["name"] for env in (static.spec or {})["containers"][0]["env"]] == ["ALL"]


def test_nothing_at_all_is_no_error() -> None:
    assert jobs() == inrepo.static(config(), "o/r")
    assert jobs("", "presubmits:", "presubmits: []").presubmits == jobs().presubmits


@pytest.mark.parametrize(("cluster", "fine"), [("default", True), ("build", True), ("own", True), ("trusted", False)])
def test_clusters_are_allowed_by_any_scope(cluster: str, fine: bool) -> None:
    text = f"presubmits: [{{name: b, cluster: {cluster}, {POD}}}]"
    if fine:
        assert jobs(text).presubmits[-1].cluster == cluster
    else:
        [told] = wrong(text)
        assert told.startswith('.prow/0.yaml:1: job "b": cluster: trusted is not allowed for o/r; allowed are build,')


CASES = [
    (f"presubmits: [{{name: static, {POD}}}]", '.prow/0.yaml:1: presubmit "static" of o/r is defined twice'),
    (f"presubmits: [{{name: b, context: static, {POD}}}]", '.prow/0.yaml:1: presubmits "static" and "b" of o/r report'),
    (f"presubmits:\n- name: b\n  trigger: '('\n  rerun_command: x\n  {POD}", '.prow/0.yaml:3: job "b": trigger:'),
    ("presubmits: {o/r: []}", ".prow/0.yaml:1: presubmits: expected a list, found a mapping"),
    ("- a", ".prow/0.yaml:1: expected a mapping, found a list"),
    ("a: [", ".prow/0.yaml:1: not readable as YAML"),
    ("presubmits: [{name: 'a b'}]", '.prow/0.yaml:1: job "a b": name'),
    ("postsubmits: [3]", ".prow/0.yaml:1: postsubmits[0]: expected a mapping, found a number"),
]


@pytest.mark.parametrize(("text", "told"), CASES, ids=[told for _, told in CASES])
def test_problems_have_places_and_the_static_side_is_never_blamed(text: str, told: str) -> None:
    found = wrong(text)
    assert any(line.startswith(told) for line in found), found
    assert all(line.startswith(".prow/0.yaml:") for line in found)


def test_keys_that_nobody_reads_are_warned_of() -> None:
    """Periodics cannot stand in a repository."""
    found = jobs(f"periodics: [{{name: p, interval: 1h, {POD}}}]\npresubmits: [{{name: b, odd: 1, {POD}}}]")
    assert [warning.text for warning in found.warnings] == [
        'periodics: unknown key "periodics"',
        'presubmits[0].odd: unknown key "odd"',
    ]
