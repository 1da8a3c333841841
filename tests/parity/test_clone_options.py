"""The clone options of production pods, as upstream writes them: read exactly, and fit to be worked with."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from prow_async.api import podoptions
from prow_async.core import clone, clone_check, clone_flags, podenv, podflags
from tests.parity.test_expansion import REAL

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no production configuration beside the checkout")


def clonings() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each pod that clones, and its clonerefs' options."""
    with gzip.open(REAL / "expected-prowjobs-and-pods.jsonl.gz", "rt") as lines:
        for line in lines:
            spec = json.loads(line)["pod"]["spec"]
            for container in spec.get("initContainers", ()):
                for variable in container.get("env", ()):
                    if variable["name"] == podoptions.CLONEREFS_ENV:
                        yield spec, variable["value"]


def test_options_are_read_exactly_and_lead_where_the_tests_start() -> None:
    seen = 0
    for spec, text in clonings():
        seen += 1
        options = podflags.read(clone_flags.PROGRAM, podoptions.CloneRefsOptions, text, [])
        assert podenv.go_json(options) == text
        assert clone_check.options_mistake(options) == ""
        assert [clone_check.refs_mistake(refs, options.src_root) for refs in options.refs] == [""] * len(options.refs)
        folders = [clone.folder_for(refs, options.src_root) for refs in options.refs]
        start = next((folder for folder, refs in zip(folders, options.refs, strict=True) if refs.workdir), folders[0])
        assert spec["containers"][0]["workingDir"] == start
    assert seen > 300
