"""size: bounds, generated files, and one label of its kind."""

import pytest

from prow_async.api import plugin_labels
from prow_async.api.errors import Refused
from prow_async.api.github import ChangedFile
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import generated_files
from prow_async.plugins import size
from tests.unit.plugins.parts import World, happened, run, said

pytestmark = pytest.mark.anyio


def changed(lines: int, name: str = "a.go") -> ChangedFile:
    return ChangedFile(name, "modified", additions=lines, deletions=0)


@pytest.mark.parametrize(
    ("lines", "label"),
    [
        (0, "XS"),
        (9, "XS"),
        (10, "S"),
        (29, "S"),
        (30, "M"),
        (99, "M"),
        (100, "L"),
        (499, "L"),
        (500, "XL"),
        (999, "XL"),
        (1000, "XXL"),
        (10**6, "XXL"),
    ],
)
async def test_bounds(lines: int, label: str) -> None:
    assert await run(size.PLUGIN, happened("opened"), World(files=(changed(lines),))) == [f"+size/{label}"]


async def test_own_bounds_and_both_kinds_of_lines() -> None:
    files = (ChangedFile("a", "modified", additions=2, deletions=3), changed(1, "b"))
    config = PluginConfig(size=plugin_labels.Size(s=2, m=6))
    assert await run(size.PLUGIN, happened("edited"), World(files=files), config) == ["+size/M"]


async def test_other_sizes_go() -> None:
    world = World(files=(changed(1),), labels_=("size/XXL", "kind/bug", "size/odd", "size/XS"))
    assert await run(size.PLUGIN, happened("synchronize"), world) == ["-size/XXL", "-size/odd"]


async def test_generated_files_do_not_count() -> None:
    names = (
        "a.go",
        "x.pb.go",
        "zz_gen.go",
        "vendor/q.go",
        "src/listed.go",
        "web/dist/app.js",
        "docs/x/y.md",
        "deep/gen.ts",
    )
    files = tuple(changed(10, name) for name in names)
    contents = {
        ".generated_files": "# comment\nfile-name x.pb.go\nfile-prefix zz_\npath-prefix vendor/\n"
        "paths-from-repo list.txt\nnonsense\n",
        "list.txt": "# what the generator writes\nsrc/listed.go\r\n\n",
        ".gitattributes": "*.ts linguist-generated=true\n/web/dist/** linguist-generated=true\n"
        "docs/**/y.md text linguist-generated=true\n*.go linguist-generated=false\n",
    }
    assert await run(size.PLUGIN, happened("opened"), World(files=files, contents=contents)) == ["+size/S"]


async def test_listed_paths_are_whole_paths_and_path_entries_names() -> None:
    """A list names files where they are; a `path` entry is compared with names alone, as upstream does."""
    contents = {".generated_files": "paths-from-repo list.txt\npath a/b.go\npath c.go\n", "list.txt": "x.go\n#y.go\n"}
    files = (
        changed(1, "x.go"),
        changed(2, "deep/x.go"),
        changed(4, "a/b.go"),
        changed(8, "d/c.go"),
        changed(16, "#y.go"),
    )
    config = PluginConfig(size=plugin_labels.Size(s=22, m=23))
    assert await run(size.PLUGIN, happened("opened"), World(files=files, contents=contents), config) == ["+size/S"]


@pytest.mark.parametrize(
    "line", ["docs/ export-ignore", "!a text", "/tests/ linguist-generated=false", "[attr]b -diff"]
)
async def test_other_attributes_do_not_matter(line: str) -> None:
    contents = {".gitattributes": f"{line}\n*.pb.go linguist-generated=true\n"}
    files = (changed(1000, "a.pb.go"),)
    assert await run(size.PLUGIN, happened("opened"), World(files=files, contents=contents)) == ["+size/XS"]


@pytest.mark.parametrize("text", ["!a linguist-generated=true", "docs/ linguist-generated=true"])
async def test_attributes_that_git_does_not_take(text: str) -> None:
    with pytest.raises(Refused, match=r"\.gitattributes line 1"):
        await run(size.PLUGIN, happened("opened"), World(contents={".gitattributes": text}))


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*.go", "a/b/c.go", True),
        ("a/*.go", "a/b/c.go", False),
        ("/c.go", "a/c.go", False),
        ("**/c.go", "c.go", True),
        ("a/**", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]bc", "abc", False),
        ("[!a]bc", "xbc", True),
        ("a.c", "abc", False),
        ("a\\*c", "abc", False),
        ("a\\*c", "a*c", True),
        ("x+(y)", "x+(y)", True),
    ],
)
def test_patterns(glob: str, path: str, fits: bool) -> None:
    (pattern,) = generated_files.linguist_generated(f"{glob} linguist-generated=true")
    assert pattern.search(path) is fits


async def test_other_events_are_none_of_its_business() -> None:
    assert await run(size.PLUGIN, happened("labeled"), World()) is None
    assert await run(size.PLUGIN, said("/size"), World()) is None
