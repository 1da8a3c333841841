"""size: labels a pull request by how many lines it changes, generated files left out.

Source: upstream pkg/plugins/size.
"""

from collections.abc import Sequence

import msgspec
import structlog

from prow_async.api import plugin_labels
from prow_async.api.actions import Decision
from prow_async.api.errors import Missing, Refused
from prow_async.api.github import ChangedFile, PullRequestEvent
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import generated_files, patterns, place
from prow_async.ports.plugin import Event, Help, Plugin, Reads

log = structlog.get_logger()
PREFIX = "size/"
NAMES = ("XS", "S", "M", "L", "XL", "XXL")
_ACTIONS = frozenset({"opened", "reopened", "synchronize", "edited"})


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    event: PullRequestEvent
    settings: plugin_labels.Size
    labels: tuple[str, ...]
    files: tuple[ChangedFile, ...]
    generated: generated_files.Generated
    attributes: tuple[patterns.Pattern, ...]


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    """Read labels, changed files, and at the base commit what says which files are generated."""
    if not isinstance(event, PullRequestEvent) or event.action not in _ACTIONS:
        return None
    where = place.of(event.repository, event.number)
    generated, attributes = await _rules(reads, where, event.pull_request.base.sha)
    return Facts(
        event=event,
        settings=reads.snapshot.plugins.size,
        labels=await reads.github.labels(where.org, where.repo, where.number),
        files=await reads.github.file_changes(where.org, where.repo, where.number),
        generated=generated,
        attributes=attributes,
    )


async def _rules(
    reads: Reads, where: place.Place, sha: str
) -> tuple[generated_files.Generated, tuple[patterns.Pattern, ...]]:
    generated = generated_files.parse(await _text(reads, where, ".generated_files", sha))
    if generated.unknown:
        log.warning(".generated_files has lines of no known form", repo=where.full_repo, lines=generated.unknown[:5])
    lists = [await _text(reads, where, path, sha) for path in generated.listed]
    generated = generated_files.with_listed(generated, lists)
    try:
        found = generated_files.linguist_generated(await _text(reads, where, ".gitattributes", sha))
    except (generated_files.AttributeMistake, patterns.PatternError) as error:
        raise Refused(f"{where.full_repo} at {sha}: {error}") from error
    return generated, found


async def _text(reads: Reads, where: place.Place, path: str, sha: str) -> str:
    """Return a file's text, empty when there is none."""
    try:
        return (await reads.github.file_content(where.org, where.repo, path, sha)).decode(errors="replace")
    except Missing:
        return ""


def lines_changed(facts: Facts) -> int:
    """Count added and deleted lines of files that people write."""
    return sum(
        changed.additions + changed.deletions
        for changed in facts.files
        if not facts.generated.matches(changed.filename)
        and not any(pattern.search(changed.filename) for pattern in facts.attributes)
    )


def size_of(lines: int, settings: plugin_labels.Size) -> str:
    """Name the size; each bound belongs to the bigger size."""
    return NAMES[sum(lines >= bound for bound in settings.bounds())]


def decide(facts: Facts) -> Decision:
    where, lines = place.of(facts.event.repository, facts.event.number), lines_changed(facts)
    wanted = PREFIX + size_of(lines, facts.settings)
    why = f"{lines} lines changed: {wanted}"
    others = [label for label in facts.labels if label.startswith(PREFIX) and label != wanted]
    removed = tuple(where.remove_label(label, why) for label in others)
    added = () if wanted in facts.labels else (where.add_label(wanted, why),)
    return Decision((*removed, *added), why)


def configured(config: PluginConfig, repos: Sequence[str]) -> dict[str, str]:
    """Say how many lines make which size."""
    bounds = config.size.bounds()
    told = [f"- `{PREFIX}{name}` from {bound} lines" for name, bound in zip(NAMES[1:], bounds, strict=True)]
    return {"": "\n".join([f"- `{PREFIX}{NAMES[0]}` below {bounds[0]} lines", *told])}


SNIPPET = """\
size:
  s: 10
  m: 30
  l: 100
  xl: 500
  xxl: 1000
"""

PLUGIN = Plugin(
    name="size",
    help=Help(
        description="size keeps one label `size/XS` to `size/XXL` on a pull request, by the lines it changes. Files "
        "that `.generated_files` or `.gitattributes` (`linguist-generated=true`) call generated do not count.",
        config=configured,
        snippet=SNIPPET,
    ),
    events=frozenset({"pull_request"}),
    gather=gather,
    decide=decide,
)
