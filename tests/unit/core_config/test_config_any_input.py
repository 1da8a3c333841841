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
PLUGINS: dict[str, Any] = {
    "plugins": {"o": ["trigger"], "p": {"plugins": ["dog"], "excluded_repos": ["r"]}},
    "external_plugins": {"o": [{"name": "e", "events": ["push"]}]},
    "triggers": [{"repos": ["o"], "trusted_org": "t"}],
    "label": {"restricted_labels": {}},
}
TEXTS = st.sampled_from(["", "x", "(", "{{", "1d", "a b", "@every", "\ud7ff", "*", "é" * 70, "git@x:y", "/"])
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)


def changed(data: st.DataObject, sample: dict[str, Any]) -> bytes:
    """Return the sample with one or two of its parts, at any depth, put into something else."""
    whole = copy.deepcopy(sample)
    for _ in range(data.draw(st.integers(1, 2))):
        at: Any = whole
        while True:
            keys = sorted(at) if isinstance(at, dict) else range(len(at))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 4)) == 0:
                break
            at = at[key]
        at[key] = data.draw(ANYTHING)
    return json.dumps(whole).encode()


@given(st.data())
def test_any_main_and_job_file(data: st.DataObject) -> None:
    """The main file alone, and with the same text as a job file."""
    text = changed(data, SAMPLE)
    jobs = data.draw(st.sampled_from([[], [SourceFile("jobs.yaml", text)]]))
    with contextlib.suppress(ConfigErrors):
        config_load.load(SourceFile("config.yaml", text), jobs)


@given(st.data())
def test_any_plugin_file(data: st.DataObject) -> None:
    """As the main and as a supplemental file."""
    text = changed(data, PLUGINS)
    further = data.draw(st.sampled_from([[], [SourceFile("more.yaml", text)]]))
    with contextlib.suppress(ConfigErrors):
        plugin_config_load.load(SourceFile("plugins.yaml", text), further)


def test_the_samples_themselves_load() -> None:
    """Else the tests above would not get far."""
    loaded = config_load.load(SourceFile("config.yaml", json.dumps(SAMPLE).encode()))
    assert len(loaded.config.periodics) == 1
    assert plugin_config_load.load(SourceFile("plugins.yaml", json.dumps(PLUGINS).encode())).config.triggers
