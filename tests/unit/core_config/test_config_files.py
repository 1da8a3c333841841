"""Configuration from files that change under a running process."""

import gzip
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from prow_async.adapters import config_disk
from prow_async.adapters.config_files import ConfigFiles
from prow_async.api.errors import CannotStart, ConfigErrors
from prow_async.ports.config import Snapshot

JOB = "periodics: [{name: %s, interval: 1h, spec: {containers: [{image: i}]}}]"


class FixedClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def now(self) -> float:
        return self.now_s


class CountedMetrics:
    """Keeps the last value of each name; labels do not matter here."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.values[name] = self.values.get(name, 0.0) + by

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.values[name] = value

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        raise AssertionError(f"{name} has no rows here")

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        raise AssertionError(f"{name} is not observed here")


class Place:
    """A folder with a main file, two job files and plugins, and the ConfigFiles that reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.main = folder / "prow" / "config.yaml"
        self.jobs = folder / "jobs"
        self.plugins = folder / "prow" / "plugins.yaml"
        self.main.parent.mkdir()
        (self.jobs / "deep").mkdir(parents=True)
        self.main.write_text("pod_namespace: pods")
        self.plugins.write_text("plugins: {o: [trigger]}")
        (self.jobs / "a.yaml").write_text(JOB % "one")
        (self.jobs / "deep" / "b.yml").write_text(JOB % "two")
        self.clock = FixedClock()
        self.metrics = CountedMetrics()

    def files(self, **changes: str) -> ConfigFiles:
        paths = {"config_path": self.main, "job_config_path": self.jobs, "plugin_config": self.plugins, **changes}
        return ConfigFiles(
            config_path=str(paths["config_path"]),
            job_config_path=str(paths["job_config_path"]),
            plugin_config=str(paths["plugin_config"]),
            clock=self.clock,
            metrics=self.metrics,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def names(snapshot: Snapshot) -> list[str]:
    return [job.name for job in snapshot.config.periodics]


def test_the_first_load_reads_everything(place: Place) -> None:
    """Main file, tree of job files, plugins; the time of loading is shown."""
    files = place.files()
    snapshot = files.load()
    assert files.current() is snapshot
    assert names(snapshot) == ["one", "two"]
    assert snapshot.plugins.enabled("o", "r") == ("trigger",)
    assert (snapshot.loaded_s, len(snapshot.digest)) == (1000.0, 64)
    assert place.metrics.values == {"prow_async_config_loaded_timestamp_seconds": 1000.0}


def test_jobs_and_plugins_may_be_absent_or_single_files(place: Place) -> None:
    """`--job-config-path` takes a file as well; without plugins none is on."""
    files = place.files(job_config_path=str(place.jobs / "deep" / "b.yml"), plugin_config="")
    assert names(files.load()) == ["two"]
    assert place.files(job_config_path="").load().config.periodics == ()


@pytest.mark.parametrize("key", ["config_path", "job_config_path", "plugin_config"])
def test_a_missing_path_keeps_the_process_from_starting(place: Place, key: str) -> None:
    """One line that names the path."""
    with pytest.raises(CannotStart, match=r"/nowhere\.yaml"):
        place.files(**{key: str(place.folder / "nowhere.yaml")}).load()


def test_a_folder_is_no_main_file_and_none_at_all_is_said(place: Place) -> None:
    """The two other ways to give a wrong --config-path."""
    with pytest.raises(CannotStart, match="is a directory"):
        place.files(config_path=str(place.jobs)).load()
    with pytest.raises(CannotStart, match="--config-path"):
        place.files(config_path="").load()


def test_a_bad_first_load_has_the_problems_of_all_files(place: Place) -> None:
    """Configuration and plugins alike."""
    (place.jobs / "bad.yaml").write_text("periodics: 5")
    place.plugins.write_text("plugins: 5")
    with pytest.raises(ConfigErrors) as caught:
        place.files().load()
    assert [Path(problem.file).name for problem in caught.value.problems] == ["bad.yaml", "plugins.yaml"]


def test_which_files_are_job_files(place: Place) -> None:
    """Only .yaml and .yml; names beginning with two dots and links to folders are left out; order is lexical."""
    (place.jobs / "note.txt").write_text("no: {yaml")
    (place.jobs / "..data").mkdir()
    (place.jobs / "..data" / "a.yaml").write_text("no: {yaml")
    (place.jobs / "..hidden.yaml").write_text("no: {yaml")
    (place.jobs / "linked").symlink_to(place.jobs / "deep")
    (place.jobs / "z.yaml").symlink_to(place.jobs / "note.txt")
    (place.jobs / "dir.yaml").mkdir()
    found = config_disk.job_files(str(place.jobs))
    assert [os.path.relpath(path, place.jobs) for path in found] == ["a.yaml", "deep/b.yml", "z.yaml"]


def test_gzipped_files_are_unpacked(place: Place) -> None:
    """By their first bytes, whatever the name; a damaged one is a clear line."""
    place.main.write_bytes(gzip.compress(b"pod_namespace: packed"))
    assert place.files().load().config.pod_namespace == "packed"
    place.main.write_bytes(gzip.compress(b"pod_namespace: packed")[:-9])
    with pytest.raises(CannotStart, match=r"config\.yaml: cannot be read: .*gzip"):
        place.files().load()


def test_supplemental_plugin_files_are_found_by_their_ending(place: Place) -> None:
    """In trees, by suffix."""
    more = place.folder / "more"
    (more / "o").mkdir(parents=True)
    (more / "o" / "x_pluginconfig.yaml").write_text("plugins: {p: [dog]}")
    (more / "o" / "other.yaml").write_text("no: {yaml")
    files = ConfigFiles(
        config_path=str(place.main),
        plugin_config=str(place.plugins),
        supplemental_plugin_config_dirs=(str(more),),
        clock=place.clock,
        metrics=place.metrics,
    )
    assert files.load().plugins.enabled("p", "r") == ("dog",)


@pytest.mark.anyio
async def test_a_reload_swaps_the_whole_snapshot_and_tells(place: Place) -> None:
    """Subscribers get both; an unchanged tree changes nothing; removed files' jobs are gone."""
    files = place.files()
    before = files.load()
    told: list[tuple[Snapshot, Snapshot]] = []
    stop = files.subscribe(lambda old, new: told.append((old, new)))
    assert not await files.reload()
    (place.jobs / "a.yaml").write_text(JOB % "changed")
    (place.jobs / "deep" / "b.yml").unlink()
    place.clock.now_s = 2000.0
    assert await files.reload()
    after = files.current()
    assert names(before) == ["one", "two"]
    assert names(after) == ["changed"]
    assert after.digest != before.digest
    assert told == [(before, after)]
    assert place.metrics.values["prow_async_config_loaded_timestamp_seconds"] == 2000.0
    stop()
    place.plugins.write_text("plugins: {o: [trigger, dog]}")
    assert await files.reload()
    assert files.current().plugins.enabled("o", "r") == ("trigger", "dog")
    assert len(told) == 1


@pytest.mark.anyio
async def test_a_bad_reload_keeps_the_last_good_one(place: Place) -> None:
    """Counted once as long as nothing changes; the way back to the same content is no news."""
    files = place.files()
    good = files.load()
    (place.jobs / "a.yaml").write_text("periodics: [")
    assert not await files.reload()
    assert not await files.reload()
    assert files.current() is good
    assert place.metrics.values["prow_async_config_load_errors"] == 1
    (place.jobs / "a.yaml").unlink()
    place.main.unlink()
    assert not await files.reload()
    assert files.current() is good
    assert place.metrics.values["prow_async_config_load_errors"] == 2
    place.main.write_text("pod_namespace: pods")
    (place.jobs / "a.yaml").write_text(JOB % "one")
    assert not await files.reload()
    assert files.current() is good
    (place.jobs / "a.yaml").write_text(JOB % "new")
    assert await files.reload()
    assert names(files.current()) == ["new", "two"]


@asynccontextmanager
async def watched(files: ConfigFiles) -> AsyncIterator[anyio.Event]:
    """Watch; the event is set at the first change."""
    changed = anyio.Event()
    files.subscribe(lambda old, new: changed.set())
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(files.watch)
            yield changed
            await changed.wait()
            group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_written_file_is_noticed(place: Place) -> None:
    """Without being asked to reload."""
    files = place.files()
    files.load()
    async with watched(files):
        (place.jobs / "deep" / "new.yaml").write_text(JOB % "new")
    assert names(files.current()) == ["one", "two", "new"]


@pytest.mark.anyio
async def test_a_swapped_configmap_is_noticed(place: Place) -> None:
    """Kubernetes swaps a link to a folder; the files themselves are links through it and never touched."""
    mount = place.folder / "mount"
    for version in ("1", "2"):
        (mount / f"..{version}").mkdir(parents=True)
        (mount / f"..{version}" / "config.yaml").write_text(f"pod_namespace: v{version}")
    (mount / "..data").symlink_to("..1")
    (mount / "config.yaml").symlink_to("..data/config.yaml")
    files = place.files(config_path=str(mount / "config.yaml"))
    assert files.load().config.pod_namespace == "v1"
    async with watched(files):
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
    assert files.current().config.pod_namespace == "v2"
