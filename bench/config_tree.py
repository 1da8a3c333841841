"""Copies a tree of Prow configuration several times over, with distinct file, job and context names."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import processes

HERE = Path(__file__).resolve().parents[2]
REAL = HERE / "shared" / "real" / "prow-config" / "config"
"""Production configuration, where the checkout has it beside it."""


def make(source: Path, copies: int, target: Path) -> None:
    """Write `copies` copies of a tree with `prow/config.yaml` and `jobs/`; the first one stays as it is.

    Presets stand in the first copy only: two with the same labels would be refused.

    Raises Broken when the source is not there.
    """
    main, jobs = source / "prow" / "config.yaml", source / "jobs"
    if not main.is_file() or not jobs.is_dir():
        raise processes.Broken(f"no configuration to copy at {source}: give its folder with --config-tree")
    (target / "prow").mkdir(parents=True)
    shutil.copyfile(main, target / "prow" / "config.yaml")
    for path in sorted(jobs.rglob("*")):
        if path.suffix not in {".yaml", ".yml"}:
            continue
        text = path.read_text()
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        for number in range(copies):
            at = target / "jobs" / f"copy-{number}" / path.relative_to(jobs)
            at.parent.mkdir(parents=True, exist_ok=True)
            # ConfigMaps are keyed by base name, which is why they must differ
            name = at.name if number == 0 else f"{at.stem}-{number}{at.suffix}"
            at.with_name(name).write_text(text if number == 0 else renamed(text, root, f"-{number}"))


def renamed(text: str, root: yaml.Node | None, suffix: str) -> str:
    """Return a job file with `suffix` behind every job's name and context, and without its presets."""
    edits: dict[int, tuple[int, str]] = {}
    if not isinstance(root, yaml.MappingNode):
        return text
    for key, value in root.value:
        if key.value == "presets":
            edits[key.start_mark.index] = (value.end_mark.index, "")
        elif key.value in ("presubmits", "postsubmits") and isinstance(value, yaml.MappingNode):
            for _, listed in value.value:
                edits.update(_names(listed, suffix))
        elif key.value == "periodics":
            edits.update(_names(value, suffix))
    out, at = [], 0
    for start in sorted(edits):
        end, new = edits[start]
        if start >= at:
            out += [text[at:start], new]
            at = end
    return "".join([*out, text[at:]])


def _names(jobs: yaml.Node, suffix: str) -> Iterator[tuple[int, tuple[int, str]]]:
    for job in jobs.value if isinstance(jobs, yaml.SequenceNode) else ():
        for key, value in job.value if isinstance(job, yaml.MappingNode) else ():
            if key.value in ("name", "context") and isinstance(value, yaml.ScalarNode):
                end = value.end_mark.index
                yield (
                    value.start_mark.index,
                    (end, yaml.dump(value.value + suffix, width=1000).split("\n...")[0].strip()),
                )
