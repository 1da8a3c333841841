"""The kubeconfig that leads kubectl, and every other client, to an embedded API server."""

import os
import pathlib
import tempfile

import msgspec

from prow_async.api import errors

MODE = 0o600


def render(address: str, token: str, namespace: str = "default", context: str = "prow-async") -> str:
    """Return the file's text.

    The token stands twice: as the user's, and as the first segment of the server's path, for kubectl sends no user's
    token over plain HTTP.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": {"server": f"{address}/{token}"}}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": namespace}}],
        "current-context": context,
    }
    # JSON is YAML, and needs no escaping rules of our own.
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def write(path: pathlib.Path, text: str) -> None:
    """Write the file in one step, readable by its owner alone.

    Raises:
        CannotStart: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            pathlib.Path(beside).chmod(MODE)
            pathlib.Path(beside).replace(path)
        except BaseException:
            pathlib.Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise errors.CannotStart(f"cannot write the kubeconfig {path}: {error.strerror or error}") from error
