"""`prow-async inbox`: look at the deliveries a hook has, had, and could not handle; replay them, drop them.

It works beside a running hook: it reads without locks, and leaves what it asks for in a file the hook looks at.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid5

import msgspec

from prow_async.adapters.inbox import reader
from prow_async.adapters.inbox.aside import Aside, Letter
from prow_async.adapters.inbox.reader import Found, Row
from prow_async.api.errors import CannotStart, printable
from prow_async.apps import flags as flag_parser
from prow_async.apps.flags import Flag
from prow_async.core import identity, instants, webhook_decode
from prow_async.ports.inbox import Delivery

FLAGS = (
    Flag("inbox-dir", "str", "/var/lib/prow-async/inbox", "the hook's inbox"),
    Flag("dead", "bool", False, "ls, replay, drop: those laid aside because nobody could handle them"),
    Flag("handled", "bool", False, "ls: those handled, as far as the log reaches back"),
    Flag("event", "str", "", "ls: only this kind of event"),
    Flag("limit", "int", 50, "ls: so many at most, the newest (0: all)"),
    Flag("json", "bool", False, "ls, show: one JSON object a line"),
)
USAGE = """usage: prow-async inbox ls | show ID | replay ID ... | drop ID ...   [flags]

  ls       list deliveries that wait (default), lie aside (--dead) or are handled (--handled)
  show     print one delivery: headers, body, what was decided about it and what became of it
  replay   let it be handled again, under a new id derived from its own
  drop     finish one that waits without handling it, or forget one that lies aside

ID is a delivery's GUID or its number. replay and drop take --dead in place of IDs: all that lie aside.
"""


class _View(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `ls`."""

    seq: int
    guid: str
    event: str
    about: str
    received: str
    state: str
    note: str


def main(argv: Sequence[str]) -> int:
    words, values = _parse(argv)
    if not words or words[0] not in _VERBS:
        raise CannotStart(
            USAGE if not words else f"prow-async inbox: no such verb: {words[0]} (ls, show, replay, drop)"
        )
    folder = Path(values["inbox-dir"])
    if not (folder / "lock").exists():
        raise CannotStart(f"{folder} holds no inbox (--inbox-dir names it)")
    aside = Aside(folder)
    try:
        return int(_VERBS[words[0]](folder, aside, words[1:], values))
    except sqlite3.Error as error:
        raise CannotStart(f"{folder / 'aside.db'} cannot be used: {error}") from error
    finally:
        aside.close()


def _parse(argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Take flags wherever they stand among the words."""
    words: list[str] = []
    values: dict[str, Any] = {flag.name: flag.default for flag in FLAGS}
    rest: Sequence[str] = argv
    while rest:
        try:
            parsed = flag_parser.parse("prow-async inbox", FLAGS, rest)
        except flag_parser.Help as asked:
            raise flag_parser.Help(f"{USAGE}\n{asked.text}") from None
        values |= {name: parsed.values[name] for name in parsed.given}
        words += parsed.words[:1]
        rest = parsed.words[1:]
    return words, values


def _ls(folder: Path, aside: Aside, words: Sequence[str], values: dict[str, Any]) -> int:
    if values["dead"]:
        views = [_of_letter(letter) for letter in aside.letters()][::-1]
    else:
        rows = [row for row in reader.look(folder).rows.values() if (row.finished_s is not None) == values["handled"]]
        views = [_of_row(row) for row in _kept(rows, values)]
    views = _kept([view for view in views if values["event"] in ("", view.event)], values)
    for view in views:
        if values["json"]:
            print(msgspec.json.encode(view).decode())
        else:
            note = f"  {printable(view.note)}" if view.note else ""
            print(f"{view.seq:>9}  {view.received}  {view.guid:<36}  {view.event:<24}  {view.about}{note}")
    if not values["json"]:
        what = "dead" if values["dead"] else "handled" if values["handled"] else "waiting"
        shown = f", the newest {len(views)} shown" if values["limit"] and len(views) == values["limit"] else ""
        print(f"{what}{shown or f': {len(views)}'}", file=sys.stderr)
    return 0


def _kept(found: list[Any], values: dict[str, Any]) -> list[Any]:
    """The newest, as many as are wanted; filters on the event come first."""
    found = [one for one in found if values["event"] in ("", one.event)]
    return found[-values["limit"] :] if values["limit"] > 0 else found


def _of_row(row: Row) -> _View:
    body = reader.read(row.spot) or b""
    return _View(
        seq=row.seq,
        guid=row.guid,
        event=row.event,
        about=webhook_decode.lane(row.event, body),
        received=instants.rfc3339(row.received_s),
        state="waiting" if row.finished_s is None else "handled",
        note=row.note,
    )


def _of_letter(letter: Letter) -> _View:
    d = letter.delivery
    return _View(
        seq=d.seq,
        guid=d.guid,
        event=d.event,
        about="",
        received=instants.rfc3339(d.received_s),
        state="dead",
        note=letter.why,
    )


def _show(folder: Path, aside: Aside, words: Sequence[str], values: dict[str, Any]) -> int:
    (wanted,) = _some(words, "show", most=1)
    letter = aside.letter(wanted)
    found = reader.look(folder)
    row = _row(found, wanted)
    delivery = letter.delivery if letter is not None else None if row is None else reader.whole(row)
    if delivery is None:
        raise CannotStart(
            f"prow-async inbox: {wanted} is not here: it never came, or the log no longer reaches back so far"
        )
    shape: dict[str, Any] = {
        "seq": delivery.seq,
        "guid": delivery.guid,
        "event": delivery.event,
        "received": instants.rfc3339(delivery.received_s),
        "state": "dead" if letter is not None else "waiting" if row is None or row.finished_s is None else "handled",
        "note": letter.why if letter is not None else "" if row is None else row.note,
        "decisions": list(_decisions(found, delivery.seq)),
        "headers": delivery.headers,
        "body": _body(delivery.body),
    }
    print(json.dumps(shape, indent=None if values["json"] else 2, ensure_ascii=True))
    return 0


def _decisions(found: Found, seq: int) -> Iterator[dict[str, Any]]:
    for decided in found.decisions.get(seq, ()):
        content = reader.read(decided.spot)
        yield {"plugin": decided.plugin, "states": decided.states, "decision": _body(content or b"null")}


def _body(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _row(found: Found, wanted: str) -> Row | None:
    rows = [row for row in found.rows.values() if wanted in (row.guid, str(row.seq))]
    return rows[-1] if rows else None


def _some(words: Sequence[str], verb: str, most: int = 1_000_000) -> Sequence[str]:
    if not words or len(words) > most:
        raise CannotStart(
            f"prow-async inbox {verb}: name {'one delivery' if most == 1 else 'deliveries'} by GUID or number"
        )
    return words


def _wanted(aside: Aside, words: Sequence[str], values: dict[str, Any], verb: str) -> Sequence[str]:
    if values["dead"] and not words:
        return [str(letter.delivery.seq) for letter in aside.letters()]
    return _some(words, verb)


def _replay(folder: Path, aside: Aside, words: Sequence[str], values: dict[str, Any]) -> int:
    found = None
    missing = 0
    for wanted in _wanted(aside, words, values, "replay"):
        letter = aside.letter(wanted)
        delivery = letter.delivery if letter is not None else None
        if delivery is None:
            found = found or reader.look(folder)
            row = _row(found, wanted)
            delivery = None if row is None else reader.whole(row)
        if delivery is None:
            print(f"{wanted}: not here", file=sys.stderr)
            missing += 1
            continue
        again = replayed(delivery, aside.next_replay(delivery.guid))
        aside.ask("replay", again)
        if letter is not None:
            aside.remove(delivery.seq)
        print(f"{wanted}: will be handled as {again.guid}")
    _tell(folder)
    return 1 if missing else 0


def replayed(delivery: Delivery, time_: int) -> Delivery:
    """Return a delivery under the id of its replay; the same number gives the same id."""
    guid = str(uuid5(identity.NAMESPACE, f"replay {time_} of {delivery.guid}"))
    headers = {name: text for name, text in delivery.headers.items() if name.lower() != "x-github-delivery"}
    headers |= {"X-GitHub-Delivery": guid, "X-Prow-Async-Replay-Of": delivery.guid}
    return msgspec.structs.replace(delivery, seq=0, guid=guid, headers=headers, received_s=time.time())


def _drop(folder: Path, aside: Aside, words: Sequence[str], values: dict[str, Any]) -> int:
    found = None
    missing = 0
    for wanted in _wanted(aside, words, values, "drop"):
        letter = aside.letter(wanted)
        if letter is not None:
            aside.remove(letter.delivery.seq)
            print(f"{wanted}: no longer kept aside")
            continue
        found = found or reader.look(folder)
        row = _row(found, wanted)
        if row is None or row.finished_s is not None:
            print(f"{wanted}: {'not here' if row is None else 'handled already'}", file=sys.stderr)
            missing += 1
            continue
        aside.ask("drop", Delivery(row.seq, row.guid, row.event, {}, b"", row.received_s))
        print(f"{wanted}: will be dropped")
    _tell(folder)
    return 1 if missing else 0


def _tell(folder: Path) -> None:
    pid = reader.holder(folder)
    if pid is None:
        print("no hook works on this inbox now: what was asked for is done when one starts", file=sys.stderr)
    else:
        print(f"the hook that works on this inbox (pid {pid}) does it within seconds", file=sys.stderr)


_VERBS = {"ls": _ls, "show": _show, "replay": _replay, "drop": _drop}
