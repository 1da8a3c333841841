"""The secrets that are mounted into a pod.

One that cannot be read is told, and the others are looked for all the same (upstream then looks for none).

Source: upstream pkg/sidecar/censor.go (loadSecrets).
"""

import os
from collections.abc import Iterable, Iterator, Sequence

from prow_async.core import secret_forms
from prow_async.podutils import logs

_MOST_BYTES = 8 << 20
"""Eight times what Kubernetes lets a Secret hold."""


def load(folders: Sequence[str], ini_filenames: Sequence[str], log: logs.Log) -> Iterator[bytes]:
    """Yield every secret below the folders: each file as a whole, and what formats that we know hold inside."""
    for folder in folders:
        for path in _files(folder, log):
            try:
                with open(path, "rb") as file:
                    content = file.read(_MOST_BYTES + 1)
            except OSError as error:
                log.error("A secret cannot be read, so it is not censored", path=path, error=error.strerror)
                continue
            if len(content) > _MOST_BYTES:
                log.error("A secret is too large, so it is not censored", path=path, limit_bytes=_MOST_BYTES)
                continue
            yield content
            try:
                yield from secret_forms.inside(os.path.basename(path), content, ini_filenames)
            except secret_forms.NotReadable as error:
                log.error("Only the whole of a secret is censored, not what is in it", path=path, error=str(error))


def _files(folder: str, log: logs.Log) -> Iterable[str]:
    """Yield the files below a folder, links to files too; names with two dots are how Kubernetes swaps volumes."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        log.error("Secrets cannot be listed, so they are not censored", path=folder, error=error.strerror)
        return
    for entry in entries:
        if entry.name.startswith(".."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, log)
        else:
            yield entry.path
