"""Configuration from files that change under a running process."""

import gzip
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from prow_async.adapters import config_disk
from prow_async.adapters.config_cache import ConfigCache
from prow_async.adapters.config_files import ConfigFiles
from prow_async.adapters.config_reader import Paths, Reader
from prow_async.adapters.web import config_page
from prow_async.api.errors import CannotStart, ConfigErrors
from prow_async.core.config_load import SourceFile
from prow_async.ports.config import Changes, JobKey, Snapshot

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
        self.rows: dict[str, list[tuple[dict[str, str], float]]] = {}
        self.observed: list[str] = []

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.values[name] = self.values.get(name, 0.0) + by

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.values[name] = value

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        self.rows[name] = [(dict(labels), value) for labels, value in rows]

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self.observed.append(name)


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
        self.cache: Path | None = None
        self.clock = FixedClock()
        self.metrics = CountedMetrics()

    def files(self, quarantine: bool = False, **changes: str) -> ConfigFiles:
        paths = {"config_path": self.main, "job_config_path": self.jobs, "plugin_config": self.plugins, **changes}
        return ConfigFiles(
            Paths(
                config_path=str(paths["config_path"]),
                job_config_path=str(paths["job_config_path"]),
                plugin_config=str(paths["plugin_config"]),
            ),
            clock=self.clock,
            metrics=self.metrics,
            quarantine=quarantine,
            cache=self.cache,
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
    assert place.metrics.values["prow_async_config_loaded_timestamp_seconds"] == 1000.0
    assert place.metrics.rows["prow_async_config_problems"] == []


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


def test_prowignore_leaves_files_out(place: Place) -> None:
    """In gitignore's syntax, at any level; a deeper file overrides one above it."""
    for name in ("gen/a1.yaml", "gen/keep.yaml", "deep/x1.yaml", "deep/in/y1.yaml", "deep/in/z.yaml"):
        (place.jobs / name).parent.mkdir(parents=True, exist_ok=True)
        (place.jobs / name).write_text("")
    (place.jobs / ".prowignore").write_text("# generated\n!\nkeep.yaml\\\n/gen/*\n!keep.yaml\n*1.yaml\n")
    (place.jobs / "deep" / "in" / ".prowignore").write_text("!y1.yaml\nz.*\n")
    found = config_disk.job_files(str(place.jobs))
    assert [os.path.relpath(path, place.jobs) for path in found] == [
        "a.yaml",
        "deep/b.yml",
        "deep/in/y1.yaml",
        "gen/keep.yaml",
    ]


def test_what_is_no_file_is_never_read(place: Place) -> None:
    """A pipe would block for ever, links may lead nowhere or round in a circle: refused at once, by name."""
    os.mkfifo(place.jobs / "pipe.yaml")
    (place.jobs / "loop.yaml").symlink_to("loop.yaml")
    (place.jobs / "gone.yaml").symlink_to("nowhere")
    (place.jobs / "up").symlink_to("..")
    with pytest.raises(CannotStart) as told:
        place.files().load()
    said = str(told.value).splitlines()
    assert [line.rpartition("/")[2].partition(":")[0] for line in said] == ["gone.yaml", "loop.yaml", "pipe.yaml"]
    files = place.files(quarantine=True)
    assert names(files.load()) == ["one", "two"]
    assert [Path(problem.file).name for problem in files.status().quarantined] == [
        "gone.yaml",
        "loop.yaml",
        "pipe.yaml",
    ]


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
        Paths(
            config_path=str(place.main),
            plugin_config=str(place.plugins),
            supplemental_plugin_config_dirs=(str(more),),
        ),
        clock=place.clock,
        metrics=place.metrics,
    )
    assert files.load().plugins.enabled("p", "r") == ("dog",)


@pytest.mark.anyio
async def test_a_reload_swaps_the_whole_snapshot_and_tells(place: Place) -> None:
    """Subscribers get both; an unchanged tree changes nothing; removed files' jobs are gone."""
    files = place.files()
    before = files.load()
    told: list[tuple[Snapshot, Snapshot, Changes]] = []
    stop = files.subscribe(lambda old, new, changes: told.append((old, new, changes)))
    assert not await files.reload()
    (place.jobs / "a.yaml").write_text(JOB % "changed")
    (place.jobs / "deep" / "b.yml").unlink()
    place.clock.now_s = 2000.0
    assert await files.reload()
    after = files.current()
    assert names(before) == ["one", "two"]
    assert names(after) == ["changed"]
    assert after.digest != before.digest
    one, two, changed = (JobKey("periodic", "", name) for name in ("one", "two", "changed"))
    assert told == [(before, after, Changes((changed,), (one, two), ()))]
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


@pytest.mark.anyio
async def test_namespaces_are_those_of_the_start(place: Place) -> None:
    """Everything is watched there and nowhere else; the rest of the changed file is in force at once."""
    files = place.files()
    before = files.load().config
    for namespace in ("other", "third", "pods"):
        place.main.write_text(f"pod_namespace: {namespace}\nprowjob_namespace: x\nlog_level: debug")
        assert await files.reload()
        now = files.current().config
        assert (now.pod_namespace, now.prowjob_namespace) == (before.pod_namespace, before.prowjob_namespace)
        assert now.log_level == "debug"
    assert place.files().load().config.prowjob_namespace == "x"


@asynccontextmanager
async def watched(files: ConfigFiles) -> AsyncIterator[anyio.Event]:
    """Watch; the event is set at the first change."""
    changed = anyio.Event()
    files.subscribe(lambda old, new, changes: changed.set())
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
        (mount / f"..{version}" / "config.yaml").write_text(f"plank: {{max_concurrency: {version}}}")
    (mount / "..data").symlink_to("..1")
    (mount / "config.yaml").symlink_to("..data/config.yaml")
    files = place.files(config_path=str(mount / "config.yaml"))
    assert files.load().config.plank.max_concurrency == 1
    async with watched(files):
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
    assert files.current().config.plank.max_concurrency == 2


BAD = "periodics:\n- name: bad\n  interval: 1h\n  cron: '@daily'\n  spec: {containers: [{image: i}]}\n"


@pytest.mark.anyio
async def test_a_bad_reload_is_shown_with_file_line_and_age(place: Place) -> None:
    """On the status, which `/config` prints, and as one metric row a problem; gone when it is mended."""
    files = place.files()
    files.load()
    place.clock.now_s = 1500.0
    (place.jobs / "bad.yaml").write_text(BAD)
    assert not await files.reload()
    place.clock.now_s = 1600.0
    assert not await files.reload()
    status = files.status()
    assert (status.loaded_s, status.failing_since_s, status.jobs["periodic"]) == (1000.0, 1500.0, 2)
    assert [(Path(p.file).name, p.line) for p in status.problems] == [("bad.yaml", 3)]
    [(labels, value)] = place.metrics.rows["prow_async_config_problems"]
    assert (Path(labels["file"]).name, labels["line"], value) == ("bad.yaml", "3", 1.0)
    files.report()
    assert place.metrics.values["prow_async_config_age_seconds"] == 600.0
    page = "\n".join(config_page.text(status, 1600.0))
    assert "DOES NOT LOAD since 1970-01-01T00:25:00Z (1m40s ago)" in page
    assert "bad.yaml:3: " in page
    (place.jobs / "bad.yaml").write_text(BAD.replace("  cron: '@daily'\n", ""))
    assert await files.reload()
    assert place.metrics.rows["prow_async_config_problems"] == []
    assert (files.status().problems, files.status().failing_since_s) == ((), None)


class TestQuarantine:
    def test_only_the_bad_files_jobs_are_left_out(self, place: Place) -> None:
        """At the first start too; shown with what is wrong."""
        (place.jobs / "bad.yaml").write_text(BAD)
        files = place.files(quarantine=True)
        assert names(files.load()) == ["one", "two"]
        assert [Path(p.file).name for p in files.status().quarantined] == ["bad.yaml"]
        assert place.metrics.values["prow_async_config_quarantined_files"] == 1

    def test_a_bad_main_file_still_refuses_all(self, place: Place) -> None:
        """Every job depends on it."""
        place.main.write_text("plank: 5")
        with pytest.raises(ConfigErrors, match=r"config\.yaml:1: plank"):
            place.files(quarantine=True).load()

    @pytest.mark.anyio
    async def test_of_two_files_that_collide_the_one_in_force_stays(self, place: Place) -> None:
        """Whatever their order: a new file cannot push out a good one."""
        files = place.files(quarantine=True)
        files.load()
        (place.jobs / "a.yaml").rename(place.jobs / "later.yaml")
        assert await files.reload()
        (place.jobs / "0.yaml").write_text(JOB % "one")
        assert await files.reload()
        assert sorted(names(files.current())) == ["one", "two"]
        assert [Path(p.file).name for p in files.status().quarantined] == ["0.yaml"]

    @pytest.mark.anyio
    async def test_presets_of_an_unreadable_file_stay_as_they_were(self, place: Place) -> None:
        """Other files' jobs mean what they meant."""
        preset = "presets: [{labels: {p: 'x'}, env: [{name: A, value: b}]}]"
        (place.jobs / "presets.yaml").write_text(preset)
        (place.jobs / "a.yaml").write_text(JOB.replace("interval", "labels: {p: x}, interval") % "one")
        files = place.files(quarantine=True)
        before = files.load().config.periodics[0]
        (place.jobs / "presets.yaml").write_text("presets: [")
        (place.jobs / "deep" / "b.yml").write_text(JOB % "three")
        assert await files.reload()
        after = files.current().config.periodics[0]
        assert before.spec is not None
        assert before.spec["containers"][0]["env"] == [{"name": "A", "value": "b"}]
        assert after.spec == before.spec
        assert names(files.current()) == ["one", "three"]


class TestCache:
    @pytest.mark.anyio
    async def test_what_was_parsed_is_not_parsed_again(self, place: Place) -> None:
        """The second process reads YAML of changed files only, and gets the same configuration."""
        place.cache = place.folder / "cache" / "parsed"
        reader = Reader(Paths(config_path=str(place.main), job_config_path=str(place.jobs)), cache=place.cache)
        first = reader.read()
        reader.save_cache()
        cache = ConfigCache(place.cache)
        kept = [cache.get(SourceFile(str(p), p.read_bytes()), "jobs") for p in sorted(place.jobs.rglob("*.y*ml"))]
        assert [file.periodics[0].job.name for file in kept if file is not None] == ["one", "two"]
        (place.jobs / "a.yaml").write_text(JOB % "new")
        assert cache.get(SourceFile(str(place.jobs / "a.yaml"), (place.jobs / "a.yaml").read_bytes()), "jobs") is None
        again = Reader(Paths(config_path=str(place.main), job_config_path=str(place.jobs)), cache=place.cache).read()
        assert again.config.periodics[1] == first.config.periodics[1]
        assert [job.name for job in again.config.periodics] == ["new", "two"]

    @pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "folder"])
    def test_a_damaged_cache_is_as_good_as_none(self, place: Place, damage: str) -> None:
        """Never an error, never a wrong configuration."""
        place.cache = place.folder / "parsed"
        paths = Paths(config_path=str(place.main), job_config_path=str(place.jobs))
        reader = Reader(paths, cache=place.cache)
        good = reader.read().config
        reader.save_cache()
        data = bytearray(place.cache.read_bytes())
        if damage == "flipped":
            data[-1] ^= 1
        place.cache.write_bytes({"cut": data[:-5], "empty": b""}.get(damage, data))
        if damage == "folder":
            place.cache.unlink()
            place.cache.mkdir()
        other = Reader(paths, cache=place.cache)
        assert other.read().config == good
        other.save_cache()

    def test_problems_have_their_lines_although_the_file_was_kept(self, place: Place) -> None:
        """Rules are applied anew at each start; the line comes from the file."""
        place.cache = place.folder / "parsed"
        paths = Paths(config_path=str(place.main), job_config_path=str(place.jobs))
        (place.jobs / "bad.yaml").write_text(BAD)
        seen = []
        for _ in range(2):
            reader = Reader(paths, cache=place.cache)
            with pytest.raises(ConfigErrors) as caught:
                reader.read()
            seen.append(caught.value.problems)
            reader.save_cache()
        assert seen[0] == seen[1]
        assert [problem.line for problem in seen[0]] == [3]


@pytest.mark.anyio
async def test_a_job_that_only_moved_is_no_change(place: Place) -> None:
    """Lines shift; jobs do not change by it."""
    files = place.files()
    files.load()
    told: list[Changes] = []
    files.subscribe(lambda old, new, changes: told.append(changes))
    (place.jobs / "a.yaml").write_text("# a line\n" + JOB % "one")
    (place.jobs / "deep" / "b.yml").write_text((JOB % "two").replace("1h", "2h"))
    assert await files.reload()
    assert told == [Changes(changed=(JobKey("periodic", "", "two"),))]


def test_the_version_file_beside_the_main_one_is_kept_as_it_is(place: Place) -> None:
    """Upstream logs it; its content is not trimmed."""
    (place.main.parent / "VERSION").write_text("v20261124\n")
    assert place.files().load().config.config_version_sha == "v20261124\n"
