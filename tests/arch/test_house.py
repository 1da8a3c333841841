"""The house's rules that no linter knows: purity, sizes, names, docstrings, self-containment."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "prow_async"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PURE = [p for p in SOURCES if p.relative_to(PACKAGE).parts[0] in {"core", "api"}]
EXCEPTIONS = tomllib.loads((ROOT / "tests/arch/exceptions.toml").read_text())
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "getenv", "urandom", "print", "open", "input"}


def rel(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("path", PURE, ids=rel)
def test_core_and_api_are_pure(path: Path) -> None:
    """No coroutine, no clock, no randomness, no file: decisions are functions of their arguments."""
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{rel(path)}:{node.lineno} is async"
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            assert name not in IMPURE_CALLS, f"{rel(path)}:{node.lineno} calls {name}"


def test_files_and_functions_keep_their_sizes() -> None:
    """Files up to 500 lines, functions up to 60, but for the listed exceptions; the list holds nothing stale."""
    files, long = set(), set()
    for path in SOURCES:
        if len(path.read_text().splitlines()) > 500:
            files.add(rel(path))
        for node in functions(path):
            if (node.end_lineno or 0) - node.lineno + 1 > 60:
                long.add(f"{rel(path)}::{node.name}")
    assert files == set(EXCEPTIONS.get("files", {}))
    assert long == set(EXCEPTIONS.get("functions", {}))


def test_names_say_something() -> None:
    bad = [rel(p) for p in SOURCES if {p.stem, p.parent.name} & FORBIDDEN_NAMES]
    assert bad == []


def test_modules_and_public_classes_have_docstrings() -> None:
    bare = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            bare.append(rel(path))
    assert bare == []


def test_lock_files_hold_hashes_and_no_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert locks
    for lock in locks:
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--index-url|--find-links", text), f"{lock.name} names an address"


def test_the_project_speaks_of_itself_alone() -> None:
    """No machine path and no registry address in any file."""
    folders = (f"/{name}/" for name in ("work", "root", "home/[a-z]+"))
    registries = ("pypi org/simple", "files pythonhosted", "registry npmjs", "proxy golang")
    told = re.compile("|".join([*folders, *(name.replace(" ", r"\.") for name in registries)]))
    bad = []
    for name in tracked():
        if name.endswith("test_house.py"):
            continue
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        bad += [f"{name}:{i}" for i, line in enumerate(text.splitlines(), 1) if told.search(line)]
    allowed = {"/home/prow/go"}
    bad = [
        b
        for b in bad
        if not any(a in (ROOT / b.split(":")[0]).read_text().splitlines()[int(b.split(":")[1]) - 1] for a in allowed)
    ]
    assert bad == []


def test_make_has_at_most_fifteen_targets_help_first() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets[0] == "help"
    assert len(targets) <= 15
