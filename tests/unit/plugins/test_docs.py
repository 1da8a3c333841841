"""The plugin that docs/plugins.md teaches to write is a real one."""

import re
import types
from pathlib import Path

import pytest

from tests.unit.plugins.parts import World, run, said

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).resolve().parents[3] / "docs/plugins.md"
LABEL = "¯\\_(ツ)_/¯"


def example() -> types.ModuleType:
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    module = types.ModuleType("shrug")
    exec(compile(text, str(PAGE), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("body", "labels", "done"),
    [
        ("/shrug", (), [f"+{LABEL}"]),
        ("/shrug", (LABEL,), []),
        ("/unshrug", (LABEL,), [f"-{LABEL}"]),
        ("hello", (), None),
    ],
)
async def test_the_example_works(body: str, labels: tuple[str, ...], done: list[str] | None) -> None:
    assert await run(example().PLUGIN, said(body), World(labels_=labels)) == done
