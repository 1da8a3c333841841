"""How cloning went, for people: the text of clone-log.txt, and of build-log.txt where no test could run.

Source: upstream pkg/pod-utils/clone/format.go.
"""

from collections.abc import Iterator, Sequence

from prow_async.api import clonerecords
from prow_async.api.clonerecords import Record
from prow_async.core import durations, podenv


def text(records: Sequence[Record]) -> str:
    """Render clone records, in their order; "" when nothing happened."""
    return "".join(f"{line}\n" for record in records for line in _lines(record))


def _lines(record: Record) -> Iterator[str]:
    refs = record.refs
    if refs != clonerecords.NO_REFS:
        yield f"# Cloning {refs.full_name} at {podenv.refs_text(refs)}"
    elif record.commands or record.failed:
        yield "# Setting up the environment"
    for command in record.commands:
        yield f"$ {command.command}"
        yield from command.output.splitlines()
        if command.error:
            yield f"# Error: {command.error}"
    if record.final_sha:
        yield f"# Final SHA: {record.final_sha}"
    if record.failed:
        yield "# Failed"
    if record.duration:
        yield f"# Took {durations.format_s(record.duration / 1_000_000_000)}"
