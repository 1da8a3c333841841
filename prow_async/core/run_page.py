"""The page of a run that storage keeps: its address, the bucket it may be read from, and its HTML."""

import html
import itertools
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

import msgspec

from prow_async.api.config import Config
from prow_async.api.jobconfig import JobBase
from prow_async.api.runrecords import Finished, Started
from prow_async.core import instants

LISTED = 1000
"""So many artifacts are listed."""


class Place(msgspec.Struct, frozen=True):
    """A bucket as the configuration spells it, and a path in it."""

    bucket: str
    path: str


class Run(msgspec.Struct, frozen=True):
    """What storage has of a run. `log` is the end of its log, of `log_bytes` in all; None: there is none yet."""

    place: Place
    started: Started | None
    finished: Finished | None
    log: str | None
    log_bytes: int
    files: Sequence[tuple[str, int]]
    """Path below the run's folder and size, sorted."""
    more: bool = False


def buckets(config: Config) -> frozenset[str]:
    """Return every bucket that the configuration uploads to: nothing else is shown."""
    found = set()
    tables: list[Iterable[JobBase]] = [*config.presubmits.values(), *config.postsubmits.values(), config.periodics]
    for job in itertools.chain(*tables):
        if job.decoration_config is not None and job.decoration_config.gcs_configuration is not None:
            found.add(job.decoration_config.gcs_configuration.bucket)
    for entry in config.plank.default_decoration_config_entries:
        if entry.config is not None and entry.config.gcs_configuration is not None:
            found.add(entry.config.gcs_configuration.bucket)
    return frozenset(found - {""})


def place(address: str, known: Iterable[str]) -> Place | None:
    """Return what an address, PROVIDER/BUCKET/PATH, stands for; None when its bucket is none of the known ones.

    >>> place("gs/logs/pr-logs/1", ["logs"]), place("file/data/kept/a/b", ["file:///data/kept"])
    (Place(bucket='logs', path='pr-logs/1'), Place(bucket='file:///data/kept', path='a/b'))
    >>> place("gs/others/x", ["logs"]), place("gs/logs/../x", ["logs"])
    (None, None)
    """
    parts = [part for part in address.split("/") if part]
    if any(part in (".", "..") for part in parts) or "\0" in address:
        return None
    for bucket in sorted(known, key=len, reverse=True):
        own = _address(bucket).split("/")
        if parts[: len(own)] == own:
            return Place(bucket, "/".join(parts[len(own) :]))
    return None


def _address(bucket: str) -> str:
    scheme, marked, name = bucket.partition("://")
    scheme, name = (scheme, name) if marked else ("gs", bucket)
    return "/".join([scheme, *[part for part in name.split("/") if part]])


def link(kind: str, place: Place, path: str = "") -> str:
    """Return the address of a run (`view`) or of a file of it (`stored`) on our pages."""
    whole = "/".join(part for part in (_address(place.bucket), place.path, path) if part)
    return f"/{kind}/{quote(whole)}"


def html_of(run: Run) -> str:
    """Write the page. Everything is escaped; it needs no script and no style."""
    return "".join(f"{line}\n" for line in _lines(run))


def _lines(run: Run) -> Iterator[str]:
    title = html.escape(run.place.path)
    yield f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>'
    yield f"<h1>{title}</h1>"
    yield "<table>"
    for name, value in _facts(run):
        yield f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
    yield "</table>"
    if run.files:
        yield "<h2>Files</h2><ul>"
        for path, size_bytes in run.files:
            address = html.escape(link("stored", run.place, path))
            yield f'<li><a href="{address}">{html.escape(path)}</a> {size_bytes} bytes</li>'
        yield "</ul>"
        if run.more:
            yield f"<p>There are more; the first {LISTED} are listed.</p>"
    if run.log is not None:
        shown = len(run.log.encode(errors="replace"))
        yield f"<h2>Log</h2>{_cut(run) if shown < run.log_bytes else ''}<pre>{html.escape(run.log)}</pre>"
    yield "</body></html>"


def _cut(run: Run) -> str:
    address = html.escape(link("stored", run.place, "build-log.txt"))
    return f'<p>The end of it; <a href="{address}">all {run.log_bytes} bytes</a>.</p>'


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    done = run.finished
    if done is None:
        yield "result", "not finished" if run.started is not None else "nothing is stored yet"
    else:
        yield "result", done.result or ("SUCCESS" if done.passed else "FAILURE")
    if run.started is not None:
        yield "started", instants.rfc3339(run.started.timestamp)
        yield from run.started.repos.items()
    if done is not None and done.timestamp is not None:
        yield "finished", instants.rfc3339(done.timestamp)
        if run.started is not None:
            yield "took", f"{done.timestamp - run.started.timestamp} s"
