"""Whatever a configuration holds, it loads or is refused with problems; it never breaks the loader."""

import contextlib
import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.errors import ConfigErrors
from prow_async.core import config_load, plugin_config_load
from prow_async.core.config_load import SourceFile
from prow_async.core.plugin_config_parse import MERGEABLE, SECTIONS

POD = {
    "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
    "initContainers": [{"name": "i", "restartPolicy": "Always"}],
    "containers": [
        {
            "image": "i",
            "command": ["x"],
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "n"}}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "resources": {"limits": {"cpu": 1}},
        }
    ],
}
DECORATION = {
    "timeout": "1h",
    "utility_images": {"clonerefs": "c", "initupload": "i", "entrypoint": "e", "sidecar": "s"},
    "gcs_configuration": {"bucket": "b", "path_strategy": "explicit", "mediaTypes": {"log": "text/plain"}},
    "oauth_token_secret": {"name": "n", "key": "k"},
}
COMMON = {"name": "x", "labels": {"a": "b"}, "annotations": {"c": "d"}, "decorate": True, "spec": POD}
SAMPLE: dict[str, Any] = {
    "plank": {
        "job_url_template": "{{.Name}}",
        "pod_pending_timeout": "1h",
        "default_decoration_config_entries": [{"repo": "o/r", "config": DECORATION}],
        "job_queue_capacities": {"q": 1},
    },
    "sinker": {"max_pod_age": "1h"},
    "prowjob_default_entries": [{"config": {"tenant_id": "t"}}],
    "presets": [{"labels": {"a": "b"}, "env": [{"name": "B"}], "tolerations": [{"key": "k"}]}],
    "presubmits": {"o/r": [{**COMMON, "branches": ["main"], "run_if_changed": "x", "trigger": "", "context": "c"}]},
    "postsubmits": {"o/r": [{**COMMON, "skip_branches": ["rel"], "always_run": False}]},
    "periodics": [{**COMMON, "cron": "@daily", "extra_refs": [{"org": "o", "repo": "r"}], "retry": {"interval": "1h"}}],
}
BRANCH = {
    "valid_states": [{"status": "NEW", "resolution": ""}],
    "statuses": ["NEW"],
    "dependent_bug_target_release": "1",
    "state_after_merge": {"status": "DONE"},
    "is_open": True,
    "allowed_groups": ["g"],
}
PLUGINS: dict[str, Any] = {
    "plugins": {"o": ["trigger"], "p": {"plugins": ["dog"], "excluded_repos": ["r"]}, "p/r": ["dog", "rifle"]},
    "external_plugins": {"o": [{"name": "e", "events": ["push"]}]},
    "owners": {"mdyamlrepos": ["o"], "labels_denylist": ["l"], "filenames": {"o": {"owners": "O"}}},
    "approve": [{"repos": ["o"], "require_self_approval": True, "commandHelpLink": "x"}, {"repos": ["o/r"]}],
    "blockades": [{"repos": ["o"], "branchregexp": "^main$", "blockregexps": ["^a"], "explanation": "e"}],
    "blunderbuss": {"request_count": 1, "wait_for_status": {"context": "tide", "description": "x|z"}},
    "rifle": {"ignore_authors": ["a"], "max_request_count": 3},
    "bugzilla": {
        "default": {"*": BRANCH},
        "orgs": {"o": {"default": {"main": BRANCH}, "repos": {"r": {"branches": {"*": BRANCH}}}}},
    },
    "branch_cleaner": {"preserved_branches": {"o": ["main"]}},
    "cat": {"key_path": "/k"},
    "cherry_pick_approved": [{"org": "o", "branchregexp": "^rel", "approvers": ["a"]}],
    "cherry_pick_unapproved": {"branchregexp": "^rel", "comment": "c"},
    "config_updater": {
        "cluster_groups": {"g": {"clusters": ["c"], "namespaces": ["n"]}},
        "maps": {
            "a/*": {"name": "m", "cluster_groups": ["g"], "allowed_repos": ["o"]},
            "b/*": {"partitioned_names": ["p", "q"], "clusters": {"c": ["n"]}, "gzip": True},
        },
    },
    "dco": {"*": {"trusted_apps": ["a"], "contributing_branch": "dev"}},
    "golint": {"minimum_confidence": 0.5},
    "goose": {"key_path": "/k"},
    "heart": {"adorees": ["a"], "commentregexp": "x"},
    "help": {"help_guidelines_url": "u"},
    "invalid_commit_msg": [{"repos": ["o"], "checks": [{"name": "fixupPrefix", "disabled": True}]}],
    "jira": {"disabled_jira_projects": ["p"]},
    "label": {"additional_labels": ["a"], "restricted_labels": {"*": [{"label": "l", "assign_on": [{"label": "m"}]}]}},
    "lgtm": [{"repos": ["o"], "store_tree_hash": True}],
    "milestone_applier": {"o/r": {"main": "v1"}},
    "override": {"allowed_github_teams": {"o": ["t"]}},
    "project_config": {"project_org_configs": {"o": {"project_repo_configs": {"r": {"repo_maintainers_team_id": 1}}}}},
    "project_manager": {
        "orgsRepos": {
            "o/r": {"projects": {"p": {"columns": [{"id": 1, "state": "open", "labels": ["l"], "org": "o"}]}}}
        }
    },
    "release_note": {"guidelines_url": "u"},
    "repo_milestone": {"": {"maintainers_id": 1, "maintainers_team": "t"}},
    "require_matching_label": [
        {
            "org": "o",
            "repo": "r",
            "prs": True,
            "branch": "b",
            "regexp": "^k/",
            "missing_label": "l",
            "grace_period": "1m",
        }
    ],
    "retitle": {"allow_closed_issues": True},
    "sigmention": {"regexp": "(x)"},
    "size": {"s": 1, "m": 2, "l": 3, "xl": 4, "xxl": 5},
    "slack": {"mergewarnings": [{"repos": ["o"], "channels": ["c"], "exempt_branches": {"main": ["u"]}}]},
    "triggers": [{"repos": ["o"], "trusted_org": "t", "org_invite": {"prominent": {"merged_pr_threshold": 1}}}],
    "welcome": [{"repos": ["o"], "message_template": "{{.Org}}"}],
}
TEXTS = st.sampled_from(["", "x", "(", "{{", "1d", "a b", "@every", "\ud7ff", "*", "é" * 70, "git@x:y", "/"])
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)


def changed(data: st.DataObject, sample: dict[str, Any]) -> bytes:
    """Return the sample with one or two parts, at any depth, made something else, doubled or gone; or cut off."""
    whole = copy.deepcopy(sample)
    for _ in range(data.draw(st.integers(1, 2))):
        at: Any = whole
        while True:
            keys = sorted(at) if isinstance(at, dict) else range(len(at))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 4)) == 0:
                break
            at = at[key]
        match data.draw(st.integers(0, 5)):
            case 0:
                del at[key]
            case 1 if isinstance(at, list):
                at.append(at[key])
            case 1:
                at[str(key).swapcase()] = at[key]
            case _:
                at[key] = data.draw(ANYTHING)
        if not whole:
            break
    text = json.dumps(whole, indent=1).encode()
    return text[: data.draw(st.integers(0, len(text)))] if data.draw(st.integers(0, 9)) == 0 else text


@given(st.data())
def test_any_main_and_job_file(data: st.DataObject) -> None:
    """The main file alone, and with the same text as a job file."""
    text = changed(data, SAMPLE)
    jobs = data.draw(st.sampled_from([[], [SourceFile("jobs.yaml", text)]]))
    with contextlib.suppress(ConfigErrors):
        config_load.load(SourceFile("config.yaml", text), jobs)


@given(st.data())
def test_any_plugin_file(data: st.DataObject) -> None:
    """As the main and as a supplemental file. Each problem has its file and its line."""
    files = [SourceFile("plugins.yaml", changed(data, PLUGINS))]
    if data.draw(st.booleans()):
        files.append(SourceFile("more.yaml", changed(data, {key: PLUGINS[key] for key in MERGEABLE})))
    try:
        plugin_config_load.load(files[0], files[1:], known_plugins_only=data.draw(st.booleans()))
    except ConfigErrors as error:
        lines = {file.path: file.data.count(b"\n") + 1 for file in files}
        for problem in error.problems:
            assert 1 <= problem.line <= lines[problem.file], str(problem)


def test_the_samples_themselves_load() -> None:
    """Else the tests above would not get far."""
    loaded = config_load.load(SourceFile("config.yaml", json.dumps(SAMPLE).encode()))
    assert len(loaded.config.periodics) == 1
    plugins = plugin_config_load.load(SourceFile("plugins.yaml", json.dumps(PLUGINS).encode()))
    assert (set(PLUGINS), plugins.unknown) == (set(SECTIONS), ())
    assert MERGEABLE < SECTIONS
