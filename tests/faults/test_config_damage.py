"""Production configuration, damaged at random: told with file and line, never a traceback, never a hang."""

import copy
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from prow_async.api.errors import ConfigErrors, Problem
from prow_async.api.jobconfig import JobBase
from prow_async.core import config_load, plugin_config_load
from prow_async.core.config_load import Loader, SourceFile

REAL = Path(__file__).parents[3] / "shared" / "real" / "prow-config" / "config"
ROUNDS = int(os.environ.get("PROW_ASYNC_CONFIG_ROUNDS", "3"))
"""Damages to each file; more in long runs."""

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no production configuration beside the checkout")

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    1 << 70,
    "",
    "x",
    "{{",
    "(",
    "\u2028",
    [],
    [None],
    ["x"],
    {},
    {"x": None},
    {1: 2},
    "9" * 999,
]


def source(path: Path) -> SourceFile:
    return SourceFile(str(path.relative_to(REAL)), path.read_bytes())


def files() -> list[Path]:
    return [path for path in sorted((REAL / "jobs").rglob("*")) if path.suffix in {".yaml", ".yml"}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


def damage(data: bytes, seed: str) -> bytes:
    """Delete, double, retype or cut off something, or break the text itself."""
    dice = random.Random(seed)
    if dice.random() < 0.25:
        at = dice.randrange(len(data) or 1)
        return [data[:at], data[:at] + bytes([dice.randrange(256)]) + data[at:], data[at:] + data[:at]][
            dice.randrange(3)
        ]
    whole = yaml.load(data, yaml.CSafeLoader)
    for _ in range(dice.randint(1, 3)):
        every = list(places(whole))
        if not every:
            break
        path = dice.choice(every)
        parent = whole
        for step in path[:-1]:
            parent = parent[step]
        match dice.randrange(4):
            case 0:
                del parent[path[-1]]
            case 1:
                parent[path[-1]] = copy.deepcopy(dice.choice(ODD))
            case 2 if isinstance(parent, list):
                parent.append(parent[path[-1]])
            case 2:
                parent[str(path[-1]).swapcase()] = parent[path[-1]]
            case _:
                part = parent[path[-1]]
                parent[path[-1]] = (
                    part[: len(part) // 2] if isinstance(part, str | list) else copy.deepcopy(dice.choice(ODD))
                )
    return yaml.dump(whole, Dumper=yaml.CSafeDumper).encode()


def whole() -> Loader:
    loader = Loader()
    loader.update(source(REAL / "prow" / "config.yaml"), "main")
    for path in files():
        loader.update(source(path))
    return loader


def test_damaged_job_files_are_told_and_set_aside_alone() -> None:
    """Each problem names a file and, where the file can be read at all, a line; other files' jobs stay as they are."""
    loader = whole()
    before = loader.load()
    expected = {source(path).path: names(before, source(path).path) for path in files()}
    refused = 0
    for path in files():
        sound = source(path)
        for number in range(ROUNDS):
            bad = damage(sound.data, f"{sound.path} {number}")
            loader.update(SourceFile(sound.path, bad))
            try:
                loader.load()
            except ConfigErrors as error:
                refused += 1
                for problem in error.problems:
                    assert problem.file
                    assert problem.line >= 1, f"{problem} ({path} {number})"
            loaded = loader.load(quarantine=True)
            aside = {problem.file for problem in loaded.quarantined}
            assert names(loaded, sound.path) >= expected[sound.path] - in_files(before, aside), f"{path} {number}"
        loader.update(sound)
        loader.load()
    assert refused > len(files()) // 4, "damage that nobody notices proves nothing"


def every_job(loaded: config_load.Loaded) -> Iterator[JobBase]:
    for table in (loaded.config.presubmits, loaded.config.postsubmits):
        for jobs in table.values():
            yield from jobs
    yield from loaded.config.periodics


def names(loaded: config_load.Loaded, without: str) -> set[str]:
    return {job.name for job in every_job(loaded) if job.source.file != without}


def in_files(loaded: config_load.Loaded, files: set[str]) -> set[str]:
    return {job.name for job in every_job(loaded) if job.source.file in files}


@pytest.mark.parametrize("number", range(ROUNDS * 8))
def test_damaged_main_files_are_told(number: int) -> None:
    """config.yaml and plugins.yaml."""
    main, plugins = source(REAL / "prow" / "config.yaml"), source(REAL / "prow" / "plugins.yaml")
    for file, load in ((main, config_load.load), (plugins, plugin_config_load.load)):
        for problem in problems(load, SourceFile(file.path, damage(file.data, f"{file.path} {number}"))):
            assert (problem.file, problem.line >= 1) == (file.path, True), str(problem)


def problems(load: Callable[[SourceFile], object], file: SourceFile) -> Sequence[Problem]:
    try:
        load(file)
    except ConfigErrors as error:
        return error.problems
    return ()
