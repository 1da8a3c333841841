"""Object storage: Google's, S3's and its kin, or a folder on disk. Everything blocks."""

from prow_async.adapters.storage import folder, names
from prow_async.api.errors import Refused
from prow_async.ports.blobs import Blobs


def open_bucket(bucket: str, gcs_credentials_file: str = "", s3_credentials_file: str = "") -> Blobs:
    """Open `NAME` (Google's), `gs://NAME`, `s3://NAME` or `file:///FOLDER`. Nothing is asked of a server yet.

    Without a credentials file, those of the surroundings are used. Raises Refused for a name that is no bucket, and for
    credentials that cannot be read.
    """
    name = names.parse(bucket)
    if name.scheme == "file":
        return folder.FolderBlobs(name.name)
    if name.scheme not in ("gs", "s3"):
        raise Refused(f'"{bucket}" is no bucket: no storage is known by the scheme {name.scheme}')
    from prow_async.adapters.storage import cloud  # obstore, which not every program needs

    return cloud.open_bucket(name, gcs_credentials_file if name.scheme == "gs" else s3_credentials_file)
