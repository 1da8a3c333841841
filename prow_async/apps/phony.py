"""phony: sends a webhook of a person's making, signed, to any hook. Source: upstream cmd/phony."""

import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from prow_async.adapters.web import posting
from prow_async.api.errors import CannotStart, Refused, Retry, printable
from prow_async.apps import flags, process
from prow_async.apps.flags import Flag
from prow_async.core import webhook

PROGRAM = "prow-async phony"
PATIENCE_S = 30.0
"""Somebody waits for it."""
FLAGS = (
    Flag("address", "str", "http://localhost:8888/hook", "where to send it"),
    Flag("hmac", "str", "abcde12345", "secret to sign with"),
    Flag("hmac-file", "str", "", "file whose content is the secret, in place of --hmac (ours)"),
    Flag("event", "str", "ping", "kind of event, such as pull_request"),
    Flag("payload", "str", "", "file with the body; - is standard input (default: {})"),
    Flag("delivery", "str", "", "delivery GUID (ours; default: a new one)"),
)


def main(argv: Sequence[str]) -> int:
    """Exit code 0 when the hook answers 2xx, 1 when it answers something else or not at all."""
    values = flags.parse(PROGRAM, FLAGS, argv)
    body = _body(values["payload"])
    token = _read(values["hmac-file"]).strip() if values["hmac-file"] else values["hmac"].encode()
    guid = values["delivery"] or str(uuid.uuid4())
    headers = {
        "Content-Type": webhook.CONTENT_TYPE,
        "User-Agent": "GitHub-Hookshot/phony",
        "X-GitHub-Delivery": guid,
        "X-GitHub-Event": values["event"],
        webhook.SIGNATURE: webhook.sign(body, token),
    }
    for name in ("event", "delivery"):
        if not values[name].isprintable() or not values[name].isascii():
            raise CannotStart(f"{PROGRAM}: --{name} must be printable ASCII: it becomes a header")
    return int(process.run_loop(_send, values["address"], headers, body))


async def _send(address: str, headers: dict[str, str], body: bytes) -> int:
    async with posting.opened(PATIENCE_S) as post:
        try:
            status, answer = await post.post(address, headers, body)
        except (Retry, Refused) as error:
            print(f"{PROGRAM}: {error}", file=sys.stderr)
            return 1
    text = printable(answer.decode(errors="replace").strip())
    print(f"{headers['X-GitHub-Delivery']}: {status} {text}".rstrip())
    return 0 if 200 <= status < 300 else 1


def _body(path: str) -> bytes:
    if not path:
        return b"{}"
    return sys.stdin.buffer.read() if path == "-" else _read(path)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CannotStart(f"{PROGRAM}: {path} cannot be read: {error.strerror}") from error
