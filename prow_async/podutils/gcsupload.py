"""gcsupload: upload files and folders to where a run's files lie.

Source: upstream cmd/gcsupload, pkg/gcsupload.
"""

from collections.abc import Mapping, Sequence

from prow_async.api import podoptions
from prow_async.api.errors import ProwError
from prow_async.api.podoptions import GCSUploadOptions
from prow_async.core import podenv, podflags, upload_flags
from prow_async.podutils import logs, options, upload

PROGRAM = podflags.Program(
    name="gcsupload",
    variable=podoptions.GCSUPLOAD_ENV,
    flags=upload_flags.flags(),
    words="items",
    zero=upload_flags.ZERO,
    finish=upload_flags.finish,
)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Upload what GCSUPLOAD_OPTIONS or the flags say. Returns 1 when anything could not be uploaded, or cannot be."""
    log = logs.Log("gcsupload")

    def work() -> int:
        wanted = options.read(PROGRAM, GCSUploadOptions, argv, environ, upload_flags.mistake)
        spec = podenv.read_job_spec(environ)
        try:
            upload.run(spec, wanted, (), log)
        except ProwError as error:
            log.fatal("failed to upload to blob storage", error=str(error))
            return 1
        return 0

    return options.start(log, work)


if __name__ == "__main__":
    options.exit_with(main)
