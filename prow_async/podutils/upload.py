"""Upload a run's files to where its job keeps them, with the small files that point to it.

Source: upstream pkg/gcsupload/run.go, pkg/pod-utils/gcs/upload.go.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from prow_async.adapters import storage
from prow_async.api.errors import ProwError, Refused, Retry, UserMistake
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import GCSUploadOptions
from prow_async.core import content_types, storage_paths
from prow_async.podutils import artifacts, packing, sending
from prow_async.podutils.logs import Log
from prow_async.podutils.sending import Failure, Source, Upload
from prow_async.ports.blobs import PLAIN, Attributes, Blobs

_TOLD = 5
_UNFIT = {ord("#"): "%23", 0x7F: "%7F"} | {c: f"%{c:02X}" for c in range(0x20)}


class Item(msgspec.Struct, frozen=True):
    """One object of a run: bytes, or what opens their source when its turn comes (and again for each further try)."""

    path: str
    """Below the run's folder."""
    source: Callable[[], Source] | bytes
    attributes: Attributes = PLAIN
    """Without a content type, the first bytes tell it."""


def run(
    spec: JobSpec,
    options: GCSUploadOptions,
    items: Sequence[Item],
    log: Log | None = None,
    pause: Callable[[float], None] = time.sleep,
    is_withheld: Callable[[str], bool] = lambda _: False,
) -> None:
    """Upload `options.items` (files and folders), then `items`, then the pointers to the run: each pass whole.

    Dry run: say what would be uploaded, and touch nothing. A local output folder takes the place of the run's folder,
    and has no pointers. What fails with Retry is tried four times in all. Files of `options.items` are left out if they
    are withheld (asked by path).

    Raises Refused when at least one object can never be uploaded as things are, else Retry when at least one could not
    be; everything else has been uploaded then.
    """
    log = log or Log("gcsupload")
    try:
        folder = "" if options.local_output_dir else run_folder(spec, options)
        pointers = () if options.local_output_dir else tuple(_pointers(spec, options))
    except UserMistake as mistake:
        raise Refused(mistake.text_for_user) from mistake
    send = functools.partial(_dry, log) if options.dry_run else _sender(options)
    passes: tuple[Iterable[Upload], ...] = (
        _artifacts(options, folder, log, is_withheld),
        [Upload(storage_paths.join(folder, item.path), item.source, item.attributes) for item in items],
        pointers,
    )
    here = options.local_output_dir or options.bucket.startswith("file://")
    failures: list[Failure] = []
    for uploads in passes:
        failures += sending.send_all(uploads, send, pause, log, sending.ONE_BY_ONE if here else sending.PARALLEL)
    if failures:
        raise _summary(failures)
    if not options.dry_run:
        log.info(f"Finished upload to {options.local_output_dir or options.bucket}")


def run_folder(spec: JobSpec, options: GCSUploadOptions) -> str:
    """Return where a run's files lie in its bucket. Raises UserMistake as `storage_paths.run_folder` does."""
    return storage_paths.join(storage_paths.run_folder(spec, options), options.sub_dir)


def _dry(log: Log, upload: Upload) -> None:
    log.info("Would upload", dest=upload.path)


def _sender(options: GCSUploadOptions) -> Callable[[Upload], None]:
    if options.local_output_dir:
        bucket = storage.open_bucket(f"file://{os.path.abspath(options.local_output_dir)}")
    else:
        bucket = storage.open_bucket(options.bucket, options.gcs_credentials_file, options.s3_credentials_file)
    compressed = frozenset(options.compress_file_types or ())
    return lambda upload: _send(bucket, compressed, options.media_types, upload)


def _send(bucket: Blobs, compressed: frozenset[str], media_types: dict[str, str], upload: Upload) -> None:
    if isinstance(upload.source, bytes):
        source: Source = packing.Held(upload.source)
    else:
        source = _opened(upload)
    with contextlib.closing(source):
        if bucket.url.startswith("file://"):  # keeps no attributes: content stays as it is
            bucket.put(upload.path, source)
            return
        first = source.read(packing.FIRST_BYTES)
        reader: Source = packing.Rejoined(first, source)
        attributes = upload.attributes
        if packing.is_worth_it(upload.path, first, compressed):
            extension = upload.path.rpartition(".")[2]
            content_type = content_types.by_extension(extension, media_types) or content_types.TEXT
            attributes = msgspec.structs.replace(attributes, content_type=content_type, content_encoding="gzip")
            reader = packing.Compressing(reader)
        elif not attributes.content_type:
            attributes = msgspec.structs.replace(attributes, content_type=content_types.sniff(first))
        bucket.put(upload.path, reader, attributes)


def _opened(upload: Upload) -> Source:
    assert not isinstance(upload.source, bytes)
    try:
        return upload.source()
    except OSError as error:
        raise Refused(f"cannot read the source of {upload.path}: {error.strerror or error}") from error


def _artifacts(
    options: GCSUploadOptions, folder: str, log: Log, is_withheld: Callable[[str], bool]
) -> Iterator[Upload]:
    """Find the uploads that the options name, one at a time: there may be very many."""
    keeps_attributes = not options.local_output_dir and not options.bucket.startswith("file://")
    taken: set[str] = set()
    for item in options.items:
        for found in artifacts.gather(item, log):
            if is_withheld(found.path):
                continue
            above, _, name = found.name.rpartition("/")
            named = content_types.of_name(name, options.media_types)
            if not keeps_attributes:
                named = content_types.Named(name)
            path = storage_paths.join(folder, above.translate(_UNFIT), named.name.translate(_UNFIT))
            if path in taken:
                log.warning("Encountered duplicate upload, skipping...", dest=path)
                continue
            taken.add(path)
            attributes = Attributes(named.content_type, named.content_encoding)
            yield Upload(path, functools.partial(artifacts.open_file, found), attributes)


def _pointers(spec: JobSpec, options: GCSUploadOptions) -> Iterator[Upload]:
    """Name the small files by which a run is found; the last ones written, so that they point to something."""
    alias = storage_paths.alias(spec)
    if alias:
        url = storage_paths.full_url(options.bucket, storage_paths.run_folder(spec, options))
        yield Upload(alias, url.encode(), Attributes(metadata={"x-goog-meta-link": storage_paths.ascii_url(url)}))
    for path in storage_paths.latest_builds(spec, options):
        yield Upload(path, spec.buildid.encode())


def _summary(failures: Sequence[Failure]) -> ProwError:
    told = "; ".join(_told(failure) for failure in failures[:_TOLD])
    more = f"; and {len(failures) - _TOLD} more" if len(failures) > _TOLD else ""
    text = f"{len(failures)} uploads failed: {told}{more}"
    refused = any(isinstance(failure.error, Refused) for failure in failures)
    return Refused(text) if refused else Retry(text)


def _told(failure: Failure) -> str:
    text = str(failure.error)
    return text if text.startswith(failure.path) else f"{failure.path}: {text}"
