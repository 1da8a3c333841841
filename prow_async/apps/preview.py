"""preview: every ProwJob and pod of a configuration, and what a change of it does."""

import os
import sys
from collections.abc import Iterator, Sequence

import msgspec

from prow_async.adapters import config_reader
from prow_async.api.config import Config
from prow_async.api.errors import CannotStart, ConfigErrors
from prow_async.apps import config_flags, flag_groups, flags, progress
from prow_async.apps.flags import Flag
from prow_async.core import preview, preview_against

_INPUTS = preview.Inputs()
FLAGS = (
    *flag_groups.CONFIG,
    Flag("o", "str", "", "jsonl (the default), json or text; with --against text (the default) or json"),
    Flag("against", "str", "", "the old tree: a folder laid out as the one that holds the given paths"),
    Flag("against-config-path", "str", "", "the old main configuration, where the layout differs"),
    Flag("against-job-config-path", "str", "", "the old job configuration, where the layout differs"),
    Flag("name", "str", _INPUTS.name, "name of the ProwJobs"),
    Flag("build-id", "str", _INPUTS.build_id, "their build id"),
    Flag("start-time", "str", _INPUTS.start_time, "when they start, RFC 3339"),
    Flag("link-url", "str", _INPUTS.link_url, "where repos are"),
    Flag("base-ref", "str", _INPUTS.base_ref, "the branch under test"),
    Flag("base-sha", "str", _INPUTS.base_sha, "its commit"),
    Flag("pull-number", "int", _INPUTS.pull_number, "the pull request under test"),
    Flag("pull-author", "str", _INPUTS.pull_author, "its author"),
    Flag("pull-sha", "str", _INPUTS.pull_sha, "its commit"),
    Flag("pull-title", "str", _INPUTS.pull_title, "its title"),
    Flag("pull-head-ref", "str", _INPUTS.pull_head_ref, "its branch"),
)
_FORMATS = ("jsonl", "json", "text")


def main(argv: Sequence[str]) -> int:
    """Run the command. Exit code 1 when a configuration does not load, with every problem on stderr."""
    parsed = flags.parse("prow-async preview", FLAGS, argv)
    old = _old_paths(parsed)
    wanted = parsed["o"] or ("text" if old else "jsonl")
    if wanted not in _FORMATS or (old and wanted == "jsonl"):
        raise CannotStart(f"prow-async preview: -o {wanted}: use {'text or json' if old else 'jsonl, json or text'}")
    inputs = _inputs(parsed)
    found = _load(config_flags.paths(parsed.values), parsed, "prow-async preview")
    if found is None:
        return 1
    if old is None:
        _print_rows(found, inputs, wanted)
        return 0
    before = _load(old, parsed, "prow-async preview: the old tree")
    if before is None:
        return 1
    difference = preview_against.compare(before, found, inputs)
    if wanted == "json":
        sys.stdout.write(msgspec.json.encode(difference).decode() + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in text(difference, sys.stdout.isatty()))
    return 0


def _inputs(parsed: flags.Flags) -> preview.Inputs:
    return preview.Inputs(**{name: parsed[name.replace("_", "-")] for name in preview.Inputs.__struct_fields__})


def _old_paths(parsed: flags.Flags) -> config_reader.Paths | None:
    """Return where the old configuration is: beside the new one's paths, taken from their common folder."""
    given = (parsed["against"], parsed["against-config-path"], parsed["against-job-config-path"])
    if not any(given):
        return None
    new = config_flags.paths(parsed.values)
    paths = [path for path in (new.config_path, new.job_config_path, *new.supplemental_prow_config_dirs) if path]
    if not paths:
        raise CannotStart("prow-async preview: no configuration: give its file with --config-path")
    common = os.path.commonpath([os.path.abspath(path) for path in [os.path.dirname(paths[0]) or ".", *paths[1:]]])
    if new.job_config_path and os.path.abspath(new.job_config_path) == common:
        common = os.path.dirname(common)

    def moved(path: str) -> str:
        return os.path.join(given[0], os.path.relpath(os.path.abspath(path), common)) if path and given[0] else path

    old = config_reader.Paths(
        config_path=given[1] or moved(new.config_path),
        job_config_path=given[2] or moved(new.job_config_path),
        supplemental_prow_config_dirs=tuple(moved(path) for path in new.supplemental_prow_config_dirs),
        supplemental_prow_configs_suffix=new.supplemental_prow_configs_suffix,
    )
    for path in (old.config_path, old.job_config_path):
        if path and not os.path.exists(path):
            hint = "give --against-config-path and --against-job-config-path where the old tree is laid out differently"
            raise CannotStart(f"prow-async preview: {path}: no such file in the old tree; {hint}")
    return old


def _load(paths: config_reader.Paths, parsed: flags.Flags, who: str) -> Config | None:
    try:
        return config_flags.load(paths, parsed.values, who)
    except ConfigErrors as error:
        print(f"{who}: the configuration does not load:\n{error}", file=sys.stderr)
        return None


def _print_rows(found: Config, inputs: preview.Inputs, wanted: str) -> None:
    total = sum(map(len, [*found.presubmits.values(), *found.postsubmits.values()])) + len(found.periodics)
    bar = progress.Progress("expanding jobs", total)
    out = sys.stdout.buffer
    for number, row in enumerate(preview.rows(found, inputs)):
        bar.step()
        if wanted == "text":
            out.write(f"{row.kind} {row.repo or '-'} {row.job} {row.source} {row.error}".rstrip().encode() + b"\n")
        elif wanted == "json":
            out.write((b"," if number else b"[") + msgspec.json.encode(row) + b"\n")
        else:
            out.write(msgspec.json.encode(row) + b"\n")
    if wanted == "json":
        out.write(b"]\n" if total else b"[]\n")
    bar.end()
    out.flush()


def text(found: preview_against.Difference, colour: bool = False) -> Iterator[str]:
    """Yield the lines of a difference for people."""

    def painted(code: str, line: str) -> str:
        return f"\x1b[{code}m{line}\x1b[0m" if colour else line

    count = sum(len(change.jobs) for change in found.changed)
    yield f"{len(found.added)} jobs added, {len(found.removed)} removed, {count} changed"
    for title, mark, code, jobs in (("Added", "+", "32", found.added), ("Removed", "-", "31", found.removed)):
        if jobs:
            yield from ("", title)
            yield from (painted(code, f"  {mark} {_job(job)}") for job in jobs)
    for title, code, stricter in (("Contexts that become required", "33", True), ("Contexts that relax", "36", False)):
        contexts = [context for context in found.contexts if context.stricter is stricter]
        if contexts:
            yield from ("", title)
            yield from (painted(code, f"  {_context(context)}") for context in contexts)
    for change in found.changed:
        yield ""
        yield f"Changed: {len(change.jobs)} jobs alike" if len(change.jobs) > 1 else "Changed"
        yield from (f"  ~ {_job(job)}" for job in change.jobs)
        yield from (painted("33", f"    {note}") for note in change.notes)
        for line in change.diff:
            yield painted({"+": "32", "-": "31"}.get(line[:1], "0"), f"    {line}")


def _job(job: preview_against.Job) -> str:
    where = f"{job.repo} " if job.repo else ""
    branches = f" on {job.branches}" if job.branches not in ("", "every branch") else ""
    return f"{job.kind} {where}{job.name}{branches} ({job.source})"


def _context(context: preview_against.Context) -> str:
    return f"{context.repo} {context.context!r} on {context.branches}: {context.after}, was {context.before}"
