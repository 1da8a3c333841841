"""Loading the whole configuration: defaults, merging, and every rule with file and line."""

from typing import Any

import pytest

from prow_async.api.config import Config, Plank
from prow_async.api.errors import ConfigErrors
from prow_async.core import config_load
from prow_async.core.config_load import Loader, SourceFile

POD = "spec: {containers: [{image: i}]}"
DECORATION = """
  default_decoration_config_entries:
  - config:
      timeout: 2h
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: b, path_strategy: explicit}
"""


def load(main: str = "", **jobs: str) -> config_load.Loaded:
    files = [SourceFile(f"jobs/{name}.yaml", text.encode()) for name, text in jobs.items()]
    return config_load.load(SourceFile("config.yaml", main.encode()), files)


def problems(main: str = "", **jobs: str) -> list[str]:
    """Return the problems of a configuration that must not load."""
    with pytest.raises(ConfigErrors) as caught:
        load(main, **jobs)
    return [str(problem) for problem in caught.value.problems]


def pod_of(job: Any) -> dict[str, Any]:
    assert job.spec is not None
    spec: dict[str, Any] = job.spec
    return spec


def test_an_empty_file_gives_upstreams_defaults() -> None:
    """Nothing in the main configuration is required."""
    config = load().config
    assert (config.plank, config.horologium) == (Config().plank, Config().horologium)
    assert (config.prowjob_namespace, config.pod_namespace, config.log_level) == ("default", "default", "info")
    assert config.plank.pod_pending_timeout_s == 600
    assert config.sinker.terminated_pod_ttl_s == config.sinker.max_pod_age_s == 86400
    assert config.horologium.tick_interval_s == 60


def test_durations_become_seconds() -> None:
    """Each duration is there as canonical text and as seconds; terminated_pod_ttl follows max_pod_age."""
    config = load(
        "plank: {pod_pending_timeout: 90s, max_revivals: 0}\nsinker: {max_pod_age: 2h}\nlog_level: DEBUG"
    ).config
    assert (config.plank.pod_pending_timeout, config.plank.pod_pending_timeout_s) == ("1m30s", 90.0)
    assert config.plank.max_revivals == 0
    assert config.sinker.terminated_pod_ttl_s == 7200.0
    assert load("sinker: {max_pod_age: 2h, terminated_pod_ttl: 0s}").config.sinker.terminated_pod_ttl_s == 0.0
    assert load("plank: {max_goroutines: 0}").config.plank.max_goroutines == Plank().max_goroutines


def test_the_single_report_template_becomes_the_star() -> None:
    """The deprecated key works, with a warning at its line."""
    loaded = load("plank:\n  report_template: hello\n")
    assert loaded.config.plank.report_templates == {"*": "hello"}
    assert [str(w) for w in loaded.warnings] == [
        "config.yaml:2: plank.report_template: is deprecated; use report_templates with the key '*'"
    ]


def test_job_defaults() -> None:
    """Agent, cluster, namespace, context, trigger and rerun command; what is given stays."""
    config = load(
        "pod_namespace: pods\nprowjob_namespace: jobs",
        a=f"""
presubmits:
  o/r:
  - name: a.b
    {POD}
  - name: given
    cluster: c
    context: ctx
    trigger: (?m)^/run given
    rerun_command: /run given
    {POD}
postsubmits:
  o/r:
  - name: post
    {POD}
periodics:
- name: timed
  interval: 1h
  {POD}
""",
    ).config
    first, second = config.presubmits["o/r"]
    assert (first.agent, first.cluster, first.namespace, first.context) == ("kubernetes", "default", "pods", "a.b")
    assert first.trigger == r"(?m)^/test( | .* )a.b,?($|\s.*)"
    assert first.rerun_command == "/test a.b"
    assert (second.cluster, second.context, second.rerun_command) == ("c", "ctx", "/run given")
    assert config.postsubmits["o/r"][0].context == "post"
    assert (config.periodics[0].namespace, config.periodics[0].decoration_config) == ("pods", None)
    assert (first.source.file, first.source.line, second.source.line) == ("jobs/a.yaml", 4, 6)


def test_jobs_are_merged_in_the_order_of_files() -> None:
    """The main file's jobs first, then those of the job files, also within one repo."""
    job = "presubmits: {o/r: [{name: %s, spec: {containers: [{image: i}]}}]}"
    config = load(job % "main", b=job % "one", a=job % "two").config
    assert [job.name for job in config.presubmits["o/r"]] == ["main", "one", "two"]


def test_decoration_is_merged_when_asked_for() -> None:
    """`decorate` of the job, else `decorate_all_jobs` of the main file only; durations become canonical."""
    jobs = """
decorate_all_jobs: true
periodics:
- {name: plain, interval: 1h, spec: {containers: [{image: i}]}}
- name: own
  interval: 1h
  decorate: true
  decoration_config: {timeout: 60000000000, grace_period: 90s}
  spec: {containers: [{image: i, command: [x]}]}
- {name: shared, interval: 1h, decorate: true, spec: {containers: [{image: i, args: [x]}]}}
"""
    plain, own, shared = load(f"plank:{DECORATION}", a=jobs).config.periodics
    assert plain.decoration_config is None
    assert own.decoration_config is not None
    assert (own.decoration_config.timeout, own.decoration_config.grace_period) == ("1m0s", "1m30s")
    assert own.decoration_config.utility_images is not None
    assert shared.decoration_config is not None
    assert shared.decoration_config.timeout == "2h0m0s"
    everywhere = f"decorate_all_jobs: true\nplank:{DECORATION}"
    timed = "periodics: [{name: x, interval: 1h, spec: {containers: [{image: i, command: [x]}]}}]"
    assert load(everywhere, a=timed).config.periodics[0].decoration_config is not None


def test_presets_are_added_to_jobs_that_have_their_labels() -> None:
    """Env and mounts to every container, volumes and tolerations to the pod; a preset without labels is for all."""
    presets = """
presets:
- labels: {use: x}
  env: [{name: A, value: 1}]
  volumes: [{name: v, secret: {secretName: s, defaultMode: 0400}}]
  volumeMounts: [{name: v, mountPath: /v}]
  tolerations: [{key: k}]
- labels: {use: y}
  env: [{name: NEVER, value: n}]
- env: [{name: ALL, value: yes}]
"""
    jobs = """
periodics:
- {name: one, interval: 1h, labels: {use: x}, spec: {containers: [{image: i, env: [{name: OWN, value: 010}]}]}}
- {name: two, interval: 1h, spec: {containers: [{image: i}]}}
"""
    config = load("", presets=presets, jobs=jobs).config
    one, two = (pod_of(job) for job in config.periodics)
    assert one["containers"][0]["env"] == [
        {"name": "OWN", "value": "8"},
        {"name": "A", "value": "1"},
        {"name": "ALL", "value": "true"},
    ]
    assert one["containers"][0]["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]
    assert one["volumes"] == [{"name": "v", "secret": {"secretName": "s", "defaultMode": 256}}]
    assert one["tolerations"] == [{"key": "k"}]
    assert two == {"containers": [{"image": "i", "env": [{"name": "ALL", "value": "true"}]}]}
    assert len(config.presets) == 3


def test_pod_specs_are_fitted_to_kubernetes_types() -> None:
    """Quantities are canonical, text fields text, nulls gone, unknown keys carried."""
    job = """
periodics:
- name: x
  interval: 1h
  spec:
    nodeSelector: {pool: 1}
    madeUpField: {a: 1}
    containers:
    - image: i
      args: [1, true, a]
      workingDir: ~
      resources: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {cpu: 4}}
      ports: [{containerPort: 80, name: 8080}]
"""
    assert pod_of(load("", a=job).config.periodics[0]) == {
        "nodeSelector": {"pool": "1"},
        "madeUpField": {"a": 1},
        "containers": [
            {
                "image": "i",
                "args": ["1", "true", "a"],
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "4"}},
                "ports": [{"containerPort": 80, "name": "8080"}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("log_level: loud", '1: log_level: "loud" is no log level'),
        ("plank: {max_concurrency: -1}", "1: plank.max_concurrency: must not be negative"),
        ("plank:\n  max_goroutines: -1", "2: plank.max_goroutines: must not be negative"),
        ("plank:\n  job_url_template: '{{.X'", "2: plank.job_url_template: template: job_url_template:1: unclosed"),
        ("plank: {report_templates: {o: '{{end}}'}}", "1: plank.report_templates.o: template: report_templates:1:"),
        ("plank: {report_template: a, report_templates: {o: b}}", "1: plank.report_template: report_template and"),
        ("plank:\n  job_url_prefix_config:\n    o: ':x'", '3: plank.job_url_prefix_config.o: ":x" is no URL'),
        ("plank: {pod_pending_timeout: 1d}", '1: plank.pod_pending_timeout: time: unknown unit "d"'),
        ("plank: {pod_pending_timeout: 10}", "1: plank.pod_pending_timeout: expected text in quotes"),
        ("github_reporter: {job_types_to_report: [periodic]}", "1: github_reporter.job_types_to_report:"),
        ("github: {link_url: 'http://a b/'}", "1: github.link_url:"),
        ("presubmits: [1]", "1: presubmits: expected a mapping of org/repo"),
        ("presubmits:\n  o/r: {a: b}", "2: presubmits.o/r: expected a list"),
        ("periodics:\n- 5", "2: periodics[0]: expected a mapping"),
        ("[1]", "1: expected a mapping, found a list"),
        (
            "plank: {default_decoration_configs: {'*': {timeout: 1h}}, default_decoration_config_entries: [{repo: o}]}",
            "1: plank.default_decoration_configs: default_decoration_configs and",
        ),
    ],
)
def test_what_is_wrong_with_the_main_file(text: str, complaint: str) -> None:
    """Each problem has its line."""
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(f"config.yaml:{complaint}")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("name: 'a b'", '3: job "a b": name: "a b" must be made of'),
        ("max_concurrency: -1", '6: job "j": max_concurrency: -1 must not be negative'),
        ("agent: jenkins", '4: job "j": spec: needs agent kubernetes'),
        ("namespace: elsewhere", '6: job "j": namespace: "elsewhere" must be pod_namespace'),
        ("labels: {created-by-prow: x}", '6: job "j": labels: created-by-prow is set by the program'),
        ("labels: {'a b': x}", '6: job "j": labels: "a b" is no label name'),
        ("labels: {a: 'x y'}", '6: job "j": labels: "x y" is no value for label a'),
        ("annotations: {'/x': y}", '6: job "j": annotations: "/x" is no annotation name'),
        ("job_queue_name: q", '6: job "j": job_queue_name: "q" is not in plank.job_queue_capacities'),
        ("rerun_auth_config: {allow_anyone: true, github_users: [u]}", '6: job "j": rerun_auth_config: allow_anyone'),
        ("clone_uri: 'https://%zz'", '6: job "j": clone_uri: '),
        ("clone_uri: ':o/r'", '6: job "j": clone_uri: '),
        ("clone_uri: 'git@10.0.0.1:o/r'", '6: job "j": clone_uri: '),
        ("interval: 2h\n  cron: '@daily'", '5: job "j": interval: only one of cron, interval and minimum_interval'),
        ("cron: '* *'", '3: job "j": cron: '),
        ("interval: soon", '5: job "j": interval: time: invalid duration "soon"'),
        ("retry: {attempts: 3}", '6: job "j": retry: needs an interval'),
        ("retry: {interval: x}", '6: job "j": retry: interval: time: invalid duration "x"'),
        ("decorate: true", '3: job "j": decoration_config: no utility_images'),
        ("spec: {containers: []}", '4: job "j": spec: needs a container'),
        ("spec: {containers: [{image: a}, {image: b}]}", '4: job "j": spec: 2 containers need decoration'),
        ("spec: {containers: [{env: [{name: A}, {name: A}]}]}", '4: job "j": spec: env variable A is set twice'),
        ("spec: {containers: [{env: [{name: CI}]}]}", '4: job "j": spec: env variable CI is set by the program'),
        ("spec: {volumes: [{name: v}, {name: v}], containers: [{}]}", '4: job "j": spec: two volumes are named "v"'),
        ("spec: {volumes: [{name: tools}], containers: [{}]}", '4: job "j": spec: volume name "tools" is reserved'),
        ("spec: {containers: [{volumeMounts: [{name: v}]}]}", '4: job "j": spec: volumeMount "v" has no volume'),
        (
            "spec: {initContainers: [{name: i}], containers: [{}]}",
            '4: job "j": spec: init container "i" is not allowed',
        ),
        (
            "spec: {containers: [{resources: {limits: {cpu: much}}}]}",
            '4: periodics[0].spec.containers[0].resources.limits.cpu: "much" is no quantity',
        ),
    ],
)
def test_what_is_wrong_with_a_job(fields: str, complaint: str) -> None:
    """Each rule once, on a job that is right but for these fields; the line is the field's."""
    job: dict[str, str] = {"name": "name: j", "spec": POD, "interval": "interval: 1h"}
    for line in fields.split("\n  "):
        job[line.partition(":")[0]] = line
    if fields.startswith("cron"):
        job = {"cron": job["cron"], "name": job["name"], "spec": job["spec"]}
    text = "# a job\nperiodics:\n- " + "\n  ".join(job.values())
    found = problems("", a=text)
    assert any(problem.startswith(f"jobs/a.yaml:{complaint}") for problem in found), found


@pytest.mark.parametrize(
    ("jobs", "complaint"),
    [
        ("[{name: a, trigger: x}]", "trigger: trigger and rerun_command must both be set"),
        ("[{name: a, trigger: (, rerun_command: x}]", "trigger: error parsing regexp: missing ): ("),
        ("[{name: a, trigger: ^/go, rerun_command: /test a}]", 'rerun_command: "/test a" does not match the trigger'),
        ("[{name: a, always_run: true, run_if_changed: x}]", "always_run: cannot be set together with run_if_changed"),
        ("[{name: a, run_if_changed: x, skip_if_only_changed: y}]", "skip_if_only_changed: cannot be set together"),
        ("[{name: a, run_if_changed: '('}]", "run_if_changed: error parsing regexp"),
        ("[{name: a, branches: ['[']}]", "branches: error parsing regexp"),
        ("[{name: a, skip_branches: ['*']}]", "skip_branches: error parsing regexp"),
        ("[{name: a}, {name: a}]", 'presubmit "a" of o/r is defined twice for a branch'),
        ("[{name: a, branches: [x]}, {name: a, skip_branches: [y]}]", 'presubmit "a" of o/r is defined twice'),
        ("[{name: a, context: c}, {name: b, context: c}]", 'presubmits "a" and "b" of o/r report the same context "c"'),
        ("[{name: a, skip_report: true, labels: {prow.k8s.io/gerrit-report-label: x}}]", "skip_report: cannot be set"),
    ],
)
def test_what_is_wrong_with_presubmits(jobs: str, complaint: str) -> None:
    """Rules of one presubmit and between those of a repo."""
    text = "presubmits: {o/r: " + jobs.replace("{name", "{spec: {containers: [{image: i}]}, name") + "}"
    found = problems("", a=text)
    assert any(complaint in problem for problem in found), found


@pytest.mark.parametrize(
    "jobs",
    [
        "[{name: a, branches: [x]}, {name: a, branches: [y]}]",
        "[{name: a, branches: [x]}, {name: a, skip_branches: [x]}]",
        "[{name: a, skip_branches: [^rel]}, {name: a, branches: [rel-1]}]",
    ],
)
def test_jobs_of_different_branches_may_share_a_name(jobs: str) -> None:
    """Branch lists that cannot meet keep jobs apart."""
    text = "presubmits: {o/r: " + jobs.replace("{name", "{spec: {containers: [{image: i}]}, name") + "}"
    assert len(load("", a=text).config.presubmits["o/r"]) == 2


def test_collisions_between_files() -> None:
    """Periodics by name, presets by label, job files by base name; the other place is named."""
    timed = f"periodics:\n- name: t\n  interval: 1h\n  {POD}\npresets:\n- labels: {{a: b}}\n"
    assert problems("", one=timed, two=timed) == [
        'jobs/two.yaml:2: periodic "t" is defined twice; the other is at jobs/one.yaml:2',
        'jobs/two.yaml:6: another preset has the label "a: b" too: jobs/one.yaml:6',
    ]
    main = SourceFile("config.yaml", b"")
    with pytest.raises(ConfigErrors, match="x/b/j.yaml: job files need different base names; x/a/j.yaml has the same"):
        config_load.load(main, [SourceFile("x/a/j.yaml", b""), SourceFile("x/b/j.yaml", b"")])


def test_duplicates_added_by_presets_are_problems() -> None:
    """A preset must not add what is there already."""
    text = """
presets: [{labels: {p: x}, env: [{name: A, value: b}], volumes: [{name: v}]}]
periodics:
- name: t
  interval: 1h
  labels: {p: x}
  spec: {volumes: [{name: v}], containers: [{image: i, env: [{name: A}]}]}
"""
    found = problems("", a=text)
    assert any('a preset adds volumes "v", which is there already' in problem for problem in found)
    assert any('a preset adds env "A", which is there already' in problem for problem in found)


def test_all_problems_of_all_files_come_at_once() -> None:
    """Broken YAML in one file, types in another, rules in a third, and the main file's own."""
    found = problems(
        "log_level: loud",
        broken="a: [",
        types="periodics:\n- {name: [x], max_concurrency: many}\n",
        rules=f"periodics:\n- name: ok\n  {POD}\n",
    )
    assert [problem.partition(" ")[0] for problem in found] == [
        "config.yaml:1:",
        "jobs/broken.yaml:1:",
        "jobs/rules.yaml:2:",
        "jobs/types.yaml:2:",
        "jobs/types.yaml:2:",
    ]


def test_an_unreadable_main_file_does_not_blame_the_jobs() -> None:
    """Jobs are not measured by a main file that could not be read."""
    job = f"periodics:\n- name: x\n  interval: 1h\n  job_queue_name: q\n  decorate: true\n  {POD}\n"
    assert [problem.partition(" ")[0] for problem in problems("a: [", a=job)] == ["config.yaml:1:"]


def test_unknown_keys_do_not_hinder_and_can_be_asked_for() -> None:
    """Keys of components that are not here, and typing errors."""
    loaded = load(
        "nodeck: {x: 1}\nprow_ignored: {a: 1}", a=f"periodics:\n- name: x\n  interval: 1h\n  nonsense: y\n  {POD}\n"
    )
    assert [str(key) for key in loaded.unknown] == [
        'config.yaml:1: nodeck: unknown key "nodeck"',
        'jobs/a.yaml:4: periodics[0].nonsense: unknown key "nonsense"',
    ]
    assert [str(part) for part in loaded.unchecked] == ["config.yaml:2: prow_ignored: not checked"]


class TestLoader:
    """Loading again."""

    MAIN = SourceFile("config.yaml", b"pod_namespace: pods")
    ONE = SourceFile("one.yaml", f"presubmits: {{o/r: [{{name: one, {POD}}}]}}".encode())
    TWO = SourceFile("two.yaml", f"presubmits: {{o/r: [{{name: two, {POD}}}], o/s: [{{name: s, {POD}}}]}}".encode())

    def loader(self) -> Loader:
        loader = Loader()
        loader.update(self.MAIN, "main")
        loader.update(self.ONE)
        loader.update(self.TWO)
        return loader

    def test_what_did_not_change_is_the_same_object(self) -> None:
        """Jobs of other files are kept, so that a reload costs memory for changes only."""
        loader = self.loader()
        before = loader.load().config
        loader.update(SourceFile("one.yaml", self.ONE.data.replace(b"one", b"uno")))
        after = loader.load().config
        assert [job.name for job in after.presubmits["o/r"]] == ["uno", "two"]
        assert after.presubmits["o/r"][1] is before.presubmits["o/r"][1]
        assert after.presubmits["o/s"] is before.presubmits["o/s"]

    def test_a_change_of_the_main_file_reaches_every_job(self) -> None:
        """Defaults are filled in anew."""
        loader = self.loader()
        loader.load()
        loader.update(SourceFile("config.yaml", b"pod_namespace: other"), "main")
        config = loader.load().config
        assert {job.namespace for jobs in config.presubmits.values() for job in jobs} == {"other"}

    def test_a_new_preset_reaches_jobs_of_other_files(self) -> None:
        """Presets are for all files."""
        loader = self.loader()
        loader.load()
        loader.update(SourceFile("three.yaml", b"presets: [{env: [{name: A, value: b}]}]"))
        jobs = loader.load().config.presubmits["o/r"]
        assert [pod_of(job)["containers"][0]["env"] for job in jobs] == [[{"name": "A", "value": "b"}]] * 2

    def test_it_recovers_from_problems(self) -> None:
        """A bad file keeps the load from succeeding until it is mended or gone; its problem keeps its line."""
        loader = self.loader()
        loader.update(SourceFile("bad.yaml", b"periodics:\n- name: x\n  cron: nope\n"))
        for _ in range(2):
            with pytest.raises(ConfigErrors, match=r"bad.yaml:3: job \"x\": cron: "):
                loader.load()
        loader.remove("bad.yaml")
        assert loader.load().config.periodics == ()

    def test_loading_again_equals_loading_anew(self) -> None:
        """The way there does not matter."""
        loader = self.loader()
        loader.load()
        loader.update(self.ONE)
        loader.remove("two.yaml")
        loader.load()
        loader.update(self.TWO)
        loader.order(["config.yaml", "one.yaml", "two.yaml"])
        assert loader.load() == config_load.load(self.MAIN, [self.ONE, self.TWO])
