"""commands: the page of all commands, in Markdown, made from what plugins say of themselves."""

from collections.abc import Iterator, Sequence

from prow_async.api.errors import CannotStart
from prow_async.apps import flags
from prow_async.apps.hook import PLUGINS
from prow_async.ports.plugin import Plugin

PROGRAM = "prow-async commands"


def main(argv: Sequence[str]) -> int:
    if flags.parse(PROGRAM, (), argv).words:
        raise CannotStart(f"{PROGRAM} takes no arguments: it prints docs/commands.md")
    print(page(PLUGINS), end="")
    return 0


def page(plugins: Sequence[Plugin]) -> str:
    """Render the help of plugins, by name."""
    return "\n".join(_lines(sorted(plugins, key=lambda plugin: plugin.name))) + "\n"


def _lines(plugins: Sequence[Plugin]) -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "Said in a comment, a review, or the text of an issue or pull request, at the start of a line. This page is"
    yield "made from the plugins' own help: `prow-async commands > docs/commands.md`."
    for plugin in plugins:
        yield from ("", f"## {plugin.name}", "", plugin.help.description, "")
        yield f"Acts on: {', '.join(f'`{event}`' for event in sorted(plugin.events))}."
        if plugin.help.commands:
            yield from ("", "| command | what it does | who may use it | examples |", "| --- | --- | --- | --- |")
        for one in plugin.help.commands:
            examples = "<br>".join(f"`{_cell(example)}`" for example in one.examples)
            yield f"| `{_cell(one.usage)}` | {_cell(one.description)} | {_cell(one.who_can_use)} | {examples} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
