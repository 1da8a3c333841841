"""Which orders run in the cell's own process."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prow_async.podutils import entrypoint
from prow_async.sandbox.kubelet.cell import utility
from prow_async.sandbox.kubelet.cell.order import Order


@pytest.fixture(autouse=True)
def _everything_loaded() -> Iterator[None]:
    before = list(sys.path)
    while utility.load_next([]):
        pass
    yield
    sys.path[:] = before
    utility.LOADED.clear()


def test_a_utility_is_known_by_its_module() -> None:
    order = Order(argv=["python", "-I", "-m", "prow_async.podutils.entrypoint", "--x"], utility=True)
    assert utility.loaded(order) == (entrypoint, ["prow_async.podutils.entrypoint", "--x"])
    assert utility.loaded(Order(argv=["python", "-m", "prow_async.podutils.gcsupload"], utility=True)) is None


def put(path: Path, content: bytes, mode: int = 0o755) -> Order:
    path.write_bytes(content)
    path.chmod(mode)
    return Order(argv=[str(path), "--x"], utility=False)


def test_a_test_is_wrapped_without_a_new_interpreter_by_the_script_that_was_put_there(tmp_path: Path) -> None:
    order = put(tmp_path / "entrypoint", entrypoint.script())
    assert utility.loaded(order) == (entrypoint, order.argv)
    utility.LOADED.clear()
    assert utility.loaded(order) is None


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\necho mine\n", entrypoint.script() + b"echo more\n"])
def test_another_program_of_that_name_runs_as_what_it_is(tmp_path: Path, content: bytes) -> None:
    assert utility.loaded(put(tmp_path / "entrypoint", content)) is None


def test_what_could_not_be_executed_is_left_to_fail(tmp_path: Path) -> None:
    assert utility.loaded(put(tmp_path / "entrypoint", entrypoint.script(), 0o644)) is None
    os.mkfifo(tmp_path / "pipe", 0o755)
    for argv in ([str(tmp_path / "missing")], [str(tmp_path)], [str(tmp_path / "pipe")]):
        assert utility.loaded(Order(argv=argv, utility=False)) is None
