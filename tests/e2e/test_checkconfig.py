"""checkconfig as a person, a script and a GitHub workflow run it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.program import PROGRAM

REAL = Path(__file__).parents[3] / "shared" / "real" / "prow-config" / "config"
POD = "spec: {containers: [{image: i}]}"
LONG = "x" * 64
CASES = [
    (
        "non-decorated-jobs",
        "",
        f"periodics: [{{name: a, interval: 1h, {POD}}}]",
        "jobs.yaml:1: ",
        'job "a" is not decorated',
    ),
    ("long-job-names", "", f"periodics: [{{name: {LONG}, interval: 1h, {POD}}}]", "jobs.yaml:1: ", "longer than 63"),
    (
        "duplicate-job-refs",
        "",
        f"presubmits: {{o/r: [{{name: a, extra_refs: [{{org: o, repo: r, base_ref: main}}], {POD}}}]}}",
        "jobs.yaml:1: ",
        "clones o/r twice",
    ),
    (
        "missing-trigger",
        "",
        f"postsubmits: {{p/q: [{{name: a, {POD}}}]}}",
        "jobs.yaml:1: ",
        "trigger is not on for p/q",
    ),
    (
        "periodic-default-clone-config",
        "",
        f"periodics: [{{name: a, interval: 1h, clone_depth: 1, {POD}}}]",
        "jobs.yaml:1: ",
        "sets clone_depth",
    ),
    ("unknown-fields", "nonsense: 1", "", "config.yaml:1: ", 'unknown key "nonsense"'),
    (
        "unknown-fields-all",
        "",
        f"periodics: [{{name: a, interval: 1h, odd: 1, {POD}}}]",
        "jobs.yaml:1: ",
        'unknown key "odd"',
    ),
    (
        "managed-webhooks",
        "managed_webhooks: {org_repo_config: {o: {}, o/r: {}}}",
        "",
        "config.yaml:1: ",
        "two hooks would deliver",
    ),
    (
        "mismatched-tide",
        "tide: {queries: [{orgs: [o], missingLabels: [do-not-merge/hold]}]}",
        "",
        "config.yaml:1: ",
        "hold is",
    ),
    (
        "mismatched-tide-lenient",
        "tide: {queries: [{orgs: [o], labels: [lgtm]}]}",
        "",
        "config.yaml:1: ",
        "lgtm is not on",
    ),
    (
        "needs-ok-to-test",
        "tide: {queries: [{orgs: [o], labels: [lgtm], missingLabels: [needs-ok-to-test]}]}",
        "",
        "config.yaml:1: ",
        "/lgtm removes that label",
    ),
    (
        "tide-strict-branch",
        "tide: {queries: [{orgs: [o]}]}\n"
        "branch-protection: {protect: true, orgs: {o: {required_status_checks: {strict: true}}}}",
        "",
        "config.yaml:2: ",
        "o is strict, but tide merges there",
    ),
    (
        "tide-context-policy",
        "tide: {context_options: {required-contexts: [c], orgs: {o: {optional-contexts: [c]}}}}",
        "",
        "config.yaml:1: ",
        'context "c" is both required and optional',
    ),
    (
        "validate-unmanaged-branchconfig-has-no-subconfig",
        "branch-protection: {orgs: {o: {unmanaged: true, repos: {r: {}}}}}",
        "",
        "config.yaml:1: ",
        "is unmanaged, yet has settings below it",
    ),
    ("validate-urls", "status_error_link: 'a b://c'", "", "config.yaml:1: ", "is no URL"),
]
PLUGIN_CASES = [
    (
        "validate-owners",
        "",
        "plugins:\n  o: [approve]\n  p: [approve, verify-owners]\n",
        "plugins.yaml:2: ",
        "plugins.o: approve without verify-owners",
    ),
    (
        "validate-label",
        "",
        "label:\n  additional_labels: [x]\n  restricted_labels:\n    '*': [{label: w}]\n    o: [{label: x}]\n",
        "plugins.yaml:5: ",
        '"x" is restricted, and one of additional_labels',
    ),
    (
        "validate-label",
        "",
        "label: {restricted_labels: {o/r: [{}]}}",
        "plugins.yaml:1: ",
        "label.restricted_labels.o/r: a restricted label has no name",
    ),
    (
        "validate-config-updater-acls",
        "",
        "config_updater: {maps: {f: {name: n,\n  denied_repos: [o,\n o/r/x]}}}",
        "plugins.yaml:3: ",
        'config_updater.maps.f.denied_repos[1]: "o/r/x" has more than one slash',
    ),
    (
        "validate-config-updater-acls",
        "",
        "config_updater: {cluster_groups: {g: {clusters: [c], namespaces: [x]}},\n"
        "  maps: {f: {name: n, cluster_groups: [g], allowed_repos: ['/r']}}}",
        "plugins.yaml:2: ",
        "config_updater.maps.f.allowed_repos[0]: names no org",
    ),
    (
        "validate-config-updater-acls",
        "",
        "config_updater: {maps: {f: {name: n, denied_repos: [o, p/r,\n o/]}}}",
        "plugins.yaml:2: ",
        'config_updater.maps.f.denied_repos[2]: "o/" fits no repo: write ORG or ORG/REPO',
    ),
    (
        "validate-config-updater-acls",
        "",
        "config_updater: {maps: {f: {name: n, denied_repos: [o, 'o/r ']}}}",
        "plugins.yaml:1: ",
        'config_updater.maps.f.denied_repos[1]: "o/r " fits no repo: write ORG or ORG/REPO',
    ),
    (
        "mismatched-tide",
        "tide: {queries: [{orgs: [o], missingLabels: [needs-rebase]}]}",
        "external_plugins: {p: [{name: needs-rebase}]}",
        "config.yaml:1: ",
        "the external plugin needs-rebase is not on there",
    ),
    (
        "mismatched-tide",
        "tide: {queries: [{orgs: [o]}]}",
        "plugins: {o/r: [wip], p: [hold]}",
        "config.yaml:1: ",
        "o/r: the plugin wip is on, but queries do not forbid",
    ),
    (
        "mismatched-tide-lenient",
        "tide: {queries: [{orgs: [o], labels: [approved]}]}",
        "plugins: {o: {plugins: [approve], excluded_repos: [x]}}",
        "config.yaml:1: ",
        'o/x: queries require "approved", but the plugin approve is not on there',
    ),
    (
        "tide-strict-branch",
        "tide: {queries: [{orgs: [o]}]}\nbranch-protection: {protect: true,\n"
        "  orgs: {o: {required_status_checks: {strict: true}, repos: {r: {protect: false}}}}}",
        "",
        "config.yaml:3: ",
        "o without o/r is strict",
    ),
]


class Tree:
    def __init__(self, folder: Path, main: str = "", jobs: str = "", plugins: str = "plugins: {o: [trigger]}") -> None:
        self.folder = folder
        for name, text in (("config.yaml", main), ("jobs.yaml", jobs), ("plugins.yaml", plugins)):
            (folder / name).write_text(text)

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        paths = [f"--{flag}={name}.yaml" for flag, name in (("config-path", "config"), ("job-config-path", "jobs"))]
        command = [PROGRAM, "checkconfig", *paths, "--plugin-config=plugins.yaml", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "main", "jobs", "place", "words"), CASES, ids=[case[0] for case in CASES])
def test_each_warning_finds_what_it_is_for(
    tmp_path: Path, name: str, main: str, jobs: str, place: str, words: str
) -> None:
    """With file and line; fatal with --strict alone; silent when it is excluded."""
    tree = Tree(tmp_path, main, jobs)
    done = tree.check(f"--warnings={name}")
    [line] = [line for line in done.stdout.splitlines() if line.startswith(f"{place}[{name}] ")]
    assert words in line
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.check(f"--warnings={name}", "--strict").returncode == 1
    assert f"[{name}]" not in tree.check(f"--exclude-warning={name}").stdout


@pytest.mark.parametrize(("name", "main", "plugins", "place", "words"), PLUGIN_CASES)
def test_each_warning_about_plugins_finds_what_it_is_for(
    tmp_path: Path, name: str, main: str, plugins: str, place: str, words: str
) -> None:
    """One line for one thing that is wrong, though it is half right elsewhere."""
    done = Tree(tmp_path, main, "", plugins).check(f"--warnings={name}")
    [line] = [line for line in done.stdout.splitlines() if f"[{name}] " in line]
    assert line.startswith(f"{place}[{name}] ")
    assert words in line


def test_of_two_warnings_the_wider_one_speaks(tmp_path: Path) -> None:
    """Both are on by default, and would say the same."""
    tree = Tree(tmp_path, "tide: {queries: [{orgs: [o], labels: [lgtm]}]}\nodd: 1")
    done = tree.check("--warnings=unknown-fields-all", "--include-default-warnings")
    spoken = [line.split("[")[1].partition("]")[0] for line in done.stdout.splitlines() if "[" in line]
    assert spoken == ["unknown-fields-all", "mismatched-tide"]


def test_unknown_plugins_are_fatal_and_a_file_need_not_be_there(tmp_path: Path) -> None:
    """Upstream's checkconfig alone asks; without plugins.yaml nothing is said about plugins."""
    tree = Tree(tmp_path, jobs=f"postsubmits: {{p/q: [{{name: a, {POD}}}]}}", plugins="plugins:\n  o: [reward-owners]")
    done = tree.check()
    assert (done.returncode, done.stdout) == (
        1,
        'plugins.yaml:2: [load] error: plugins.o: there is no plugin "reward-owners"\n',
    )
    assert "[missing-trigger]" not in tree.check("--plugin-config=", "--warnings=missing-trigger").stdout


@pytest.mark.skipif(not REAL.is_dir(), reason="no production configuration beside the checkout")
def test_production_passes_what_its_owners_ask_of_it() -> None:
    """The warnings that kubernetes/test-infra checks itself with, strictly, and those about plugins."""
    names = (
        *("mismatched-tide-lenient", "tide-strict-branch", "needs-ok-to-test", "validate-owners", "missing-trigger"),
        *("validate-urls", "unknown-fields", "duplicate-job-refs", "validate-label", "validate-config-updater-acls"),
    )
    files = {"config-path": "prow/config.yaml", "job-config-path": "jobs", "plugin-config": "prow/plugins.yaml"}
    command = [PROGRAM, "checkconfig", "--strict", *(f"--{flag}={REAL / name}" for flag, name in files.items())]
    command += [f"--warnings={name}" for name in names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("checkconfig passes without any error!\n")


def test_a_clean_configuration_passes(tmp_path: Path) -> None:
    done = Tree(tmp_path).check("--strict")
    assert (done.returncode, done.stdout) == (0, "checkconfig passes without any error!\n")


def test_what_does_not_load_is_always_fatal(tmp_path: Path) -> None:
    """Every problem of every file, also for machines and for a workflow."""
    tree = Tree(tmp_path, "log_level: loud", "periodics:\n- {name: 'a\x07,b', interval: 1h}", "plugins: 5")
    done = tree.check()
    assert done.returncode == 1
    places = {line.split(" ")[0] for line in done.stdout.splitlines()}
    assert {"config.yaml:1:", "jobs.yaml:2:", "plugins.yaml:1:"} <= places
    report = json.loads(tree.check("-o", "json").stdout)
    assert report["passed"] is False
    assert {"warning": "load", "severity": "error"}.items() <= report["findings"][0].items()
    shown = tree.check("--format=github").stdout.splitlines()
    assert any(line.startswith("::error file=config.yaml,line=1,title=checkconfig load::log_level") for line in shown)


def test_coercions_and_raw_parts_are_noted(tmp_path: Path) -> None:
    """They keep nobody from passing."""
    tree = Tree(tmp_path, "deck: {Spyglass: {lenses: [{lens: {name: n, config: {a: 1}}}]}}")
    done = tree.check()
    assert 'config.yaml:1: [note] deck.Spyglass: key "Spyglass" is read as "spyglass"; write it so' in done.stdout
    assert "config.yaml:1: [note] deck.Spyglass.lenses[0].lens.config: not checked" in done.stdout
    assert done.returncode == 0


def test_required_annotations_and_gerrit(tmp_path: Path) -> None:
    job = f"presubmits: {{o/r: [{{name: a, annotations: {{owner: ''}}, {POD}}}]}}"
    tree = Tree(tmp_path, "gerrit: {allowed_presubmit_trigger_re: '^/run'}", job)
    done = tree.check("--required-job-annotations=owner", "--required-job-annotations=team")
    assert "lacks the annotation team" in done.stdout
    assert "lacks the annotation owner" not in done.stdout
    assert done.returncode == 1
    assert "`/test a`, which gerrit's `^/run` does not allow" in done.stdout


def test_the_place_of_a_supplemental_file_says_what_it_may_speak_of(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for place, scope in ((".", "any"), ("o", "o"), ("o/r", "o/z"), ("o/r/x", "o/r")):
        (tmp_path / "more" / place).mkdir(parents=True, exist_ok=True)
        text = f"slack_reporter_configs: {{{scope}: {{channel: c}}}}"
        (tmp_path / "more" / place / "a_prowconfig.yaml").write_text(text)
    name = "validate-supplemental-prow-config-hirarchy"
    done = tree.check("--supplemental-prow-config-dir=more", f"--warnings={name}")
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()[:-1]] == [
        "more/o/r/a_prowconfig.yaml",
        "more/o/r/x/a_prowconfig.yaml",
    ]


def test_the_place_of_a_supplemental_plugin_file_counts_too(tmp_path: Path) -> None:
    """An org's file speaks of the org, not of its repos, which have folders of their own."""
    tree = Tree(tmp_path, plugins="plugins: {x: [trigger]}")
    files = {
        ".": "plugins: {any: [trigger]}",
        "o": "plugins: {o: [trigger]}\nlgtm: [{repos: [o]}]",
        "p": "approve: [{repos: [p/r]}]",
        "o/r": "label: {restricted_labels: {o/r: []}}\nbugzilla: {orgs: {o: {repos: {r: {}}}}}",
        "o/z": "bugzilla: {default: {}}",
        "o/r/x": "plugins: {}",
    }
    for place, text in files.items():
        (tmp_path / "more" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "more" / place / "a_pluginconfig.yaml").write_text(text)
    name = "validate-supplemental-prow-config-hierarchy"
    done = tree.check("--supplemental-plugin-config-dir=more", f"--warnings={name}")
    assert [line.replace(f"[{name}] ", "") for line in done.stdout.splitlines()[:-1]] == [
        "more/o/r/x/a_pluginconfig.yaml: is too deep: at most org/repo/ below the supplemental directory",
        "more/o/z/a_pluginconfig.yaml: speaks of everything, but may speak of o/z only, by its place",
        "more/p/a_pluginconfig.yaml: speaks of p/r, but may speak of p only, by its place",
    ]


def test_a_wrong_name_or_format_is_one_line(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for argument, words in (
        ("--warnings=nope", "no such warning: nope"),
        ("--format=xml", "--format is text or github"),
    ):
        done = tree.check(argument)
        assert (done.returncode, words in done.stderr, len(done.stderr.splitlines())) == (2, True, 1)


def test_a_repository_s_own_configuration_is_checked_beside_the_static_one(tmp_path: Path) -> None:
    """Strictly: a key that nobody reads is an error there."""
    tree = Tree(tmp_path, jobs=f"presubmits: {{o/r: [{{name: a, {POD}}}]}}")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / ".prowignore").write_text("skip*")
    (tmp_path / "own" / "skip.yaml").write_text("[")
    file = tmp_path / "own" / "jobs.yaml"
    asked = ("--prow-yaml-repo-name=o/r", "--prow-yaml-path=own", "--exclude-warning=non-decorated-jobs")
    file.write_text(f"presubmits: [{{name: b, {POD}}}]")
    assert (tree.check(*asked).returncode, tree.check(*asked).stderr) == (0, "")
    file.write_text(f"presubmits:\n- {{name: a, odd: 1, {POD}}}\n- {{name: c, cluster: secret, {POD}}}")
    done = tree.check(*asked)
    assert done.returncode == 1
    assert [line.partition(" [")[0] for line in done.stdout.splitlines()] == [
        *("own/jobs.yaml:2:", "own/jobs.yaml:2:", "own/jobs.yaml:3:")
    ]
    file.write_text("presubmits: [{name: b, spec: {hostNetwork: true, containers: [{image: i}]}}]")
    assert tree.check(*asked).returncode == 0
    done = tree.check(*asked, "--in-repo-forbid=host")
    assert (done.returncode, 'job "b": spec.hostNetwork: not allowed' in done.stdout) == (1, True)
    for flag in ("--prow-yaml-repo-name=o", "--prow-yaml-path=nowhere", "--in-repo-forbid=x"):
        done = tree.check("--prow-yaml-repo-name=o/r", "--prow-yaml-path=own", flag)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert tree.check("--in-repo-forbid=x").returncode == 2
    done = tree.check("--prow-yaml-path=own")
    assert (done.returncode, "--prow-yaml-path needs --prow-yaml-repo-name" in done.stderr) == (2, True)


def test_a_repository_s_own_configuration_is_found_where_the_check_runs(tmp_path: Path) -> None:
    """1. There is none. 2. The file. 3. The folder hides it, and what .prowignore beside it names does not count."""
    tree = Tree(tmp_path, jobs=f"presubmits: {{o/r: [{{name: a, {POD}}}]}}")
    asked = ("--prow-yaml-repo-name=o/r", "--exclude-warning=non-decorated-jobs")
    done = tree.check(*asked)
    assert (done.returncode, "nothing of its own is checked" in done.stdout) == (0, True)
    (tmp_path / ".prow.yaml").write_text("[")
    done = tree.check(*asked)
    assert (done.returncode, done.stdout.startswith(".prow.yaml:1: ")) == (1, True)
    (tmp_path / ".prow").mkdir()
    (tmp_path / ".prow" / "draft.yaml").write_text("[")
    done = tree.check(*asked)
    assert (done.returncode, done.stdout.startswith(".prow/draft.yaml:1: ")) == (1, True)
    (tmp_path / ".prowignore").write_text("draft.*")
    assert tree.check(*asked).returncode == 0
    (tmp_path / ".prow" / "link.yaml").symlink_to("nowhere")
    done = tree.check(*asked)
    assert (done.returncode, ".prow/link.yaml: No such file" in done.stderr) == (2, True)
