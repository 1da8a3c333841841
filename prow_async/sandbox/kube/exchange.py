"""What goes in at a door and what comes out: requests, answers, and what a path and a query ask for."""

import base64
import binascii
import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec

from prow_async.sandbox.kube import protobuf, status

Json = dict[str, Any]

JSON = "application/json"


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. Header names are lower-case; of a repeated query parameter the first counts."""

    method: str
    path: str
    query: dict[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @staticmethod
    def parse(method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> "Request":
        """Build from a request line's target: an encoded path with its query."""
        path, _, query = target.partition("?")
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        lowered = {name.lower(): value for name, value in headers.items()}
        return Request(method.upper(), path, dict(reversed(pairs)), lowered, body)


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    code: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = {}

    @staticmethod
    def of(code: int, content: Any) -> "Answer":
        return Answer(code, msgspec.json.encode(content))

    @staticmethod
    def no(refusal: status.Refusal) -> "Answer":
        """Build the answer to a request the world refuses."""
        headers = {}
        if refusal.details is not None and "retryAfterSeconds" in refusal.details:
            headers["retry-after"] = str(refusal.details["retryAfterSeconds"])
        return Answer(refusal.code, msgspec.json.encode(refusal.status()), headers=headers)


class LogRequest(msgspec.Struct, frozen=True):
    """A pod's log is asked for; the world has checked pod and container. The door reads it from its LogSource."""

    namespace: str
    pod: str
    container: str
    follow: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None


class Target(msgspec.Struct, frozen=True):
    """What a resource path names. Empty strings where the path names nothing."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target_of(path: str) -> Target | None:
    """Read `/api/v1/...` or `/apis/GROUP/VERSION/...`; None when the path names no resource."""
    parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and not (len(rest) == 3 and rest[2] in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    rest += [""] * (3 - len(rest))
    return Target(group, version, rest[0], namespace, rest[1], rest[2])


class ListOptions(msgspec.Struct, frozen=True):
    """The query of a list or watch, decoded. None for resource versions not given."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: int | None = None
    match: str = ""
    limit: int = 0
    continue_: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout_s: float | None = None

    @staticmethod
    def read(query: Mapping[str, str]) -> "ListOptions":
        """Decode and check. Raises Refusal."""
        options = ListOptions(
            label_selector=query.get("labelSelector", ""),
            field_selector=query.get("fieldSelector", ""),
            resource_version=_version(query.get("resourceVersion", "")),
            match=query.get("resourceVersionMatch", ""),
            limit=max(0, number(query, "limit") or 0),
            continue_=query.get("continue", ""),
            watch=flag(query, "watch"),
            bookmarks=flag(query, "allowWatchBookmarks"),
            initial_events=flag(query, "sendInitialEvents") if query.get("sendInitialEvents") else None,
            timeout_s=number(query, "timeoutSeconds") or None,
        )
        if causes := _causes(options):
            raise status.invalid("ListOptions", "meta.k8s.io", "", causes)
        return options


def _causes(options: ListOptions) -> list[status.Cause]:
    field = "resourceVersionMatch"
    if options.watch:
        return _watch_causes(options, field)
    if options.initial_events is not None:
        why = "sendInitialEvents is forbidden for list"
        return [status.forbidden_field("sendInitialEvents", why)]
    if not options.match:
        return []
    causes = []
    if options.resource_version is None:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(status.forbidden_field(field, why))
    if options.continue_:
        causes.append(status.forbidden_field(field, "resourceVersionMatch is forbidden when continue is provided"))
    if options.match not in {"Exact", "NotOlderThan"}:
        causes.append(status.not_supported(field, options.match, ["Exact", "NotOlderThan", ""]))
    if options.match == "Exact" and options.resource_version == 0:
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(status.forbidden_field(field, why))
    return causes


def _watch_causes(options: ListOptions, field: str) -> list[status.Cause]:
    causes = []
    if options.continue_:
        causes.append(status.forbidden_field(field, "resourceVersionMatch is forbidden when continue is provided"))
    if options.initial_events is None:
        if options.match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(status.forbidden_field(field, why))
        return causes
    if options.match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(status.forbidden_field(field, why))
        if options.match:
            causes.append(status.not_supported(field, options.match, ["NotOlderThan"]))
    return causes


def _version(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise status.bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": invalid syntax')
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Read a boolean parameter: absent, `false` and `0` are false, as in Kubernetes."""
    return name in query and query[name].lower() not in {"false", "0"}


def number(query: Mapping[str, str], name: str) -> int | None:
    """Read an integer parameter. Raises Refusal (400)."""
    text = query.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise status.bad_request(f'{name}: parsing "{text}": invalid syntax')
    return int(text)


class ContinueToken(msgspec.Struct, frozen=True):
    """Where the next page starts, in which snapshot. `rv` -1 is the newest state: the list is then no snapshot."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @staticmethod
    def decode(text: str) -> "ContinueToken":
        """Read a token. Raises Refusal (400)."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            token = msgspec.json.decode(raw, type=ContinueToken)
        except (ValueError, binascii.Error, msgspec.DecodeError) as error:
            raise status.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
        if token.v != "meta.k8s.io/v1" or not token.start or token.rv < -1:
            raise status.bad_request("invalid continue token: continue key is not valid")
        return token


class DeleteOptions(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a delete."""

    grace_period_seconds: int | None = None
    preconditions: dict[str, str | None] | None = None
    dry_run: list[str] | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None

    @property
    def is_dry_run(self) -> bool:
        return bool(self.dry_run)

    @property
    def policy(self) -> str | None:
        """Orphan, Background or Foreground; None where nothing is asked for."""
        if self.orphan_dependents is not None:
            return "Orphan" if self.orphan_dependents else "Background"
        return self.propagation_policy

    @staticmethod
    def read(request: Request) -> "DeleteOptions":
        """Read the body, or the query when there is none. Raises Refusal (400, 422)."""
        if not request.body:
            query = request.query
            options = DeleteOptions(
                number(query, "gracePeriodSeconds"),
                None,
                [query["dryRun"]] if query.get("dryRun") else None,
                query.get("propagationPolicy") or None,
                flag(query, "orphanDependents") if query.get("orphanDependents") else None,
            )
        elif media_of(request) == protobuf.MEDIA:
            options = msgspec.convert(protobuf.decode(request.body), DeleteOptions)
        else:
            try:
                options = msgspec.json.decode(request.body, type=DeleteOptions)
            except msgspec.DecodeError as error:
                raise status.bad_request(f"the delete options do not read: {error}") from error
        options._check()
        return options

    def _check(self) -> None:
        causes = []
        if self.propagation_policy not in {None, "Orphan", "Background", "Foreground"}:
            allowed = ["Background", "Foreground", "Orphan", "nil"]
            causes.append(status.not_supported("propagationPolicy", self.propagation_policy, allowed))
        if self.propagation_policy is not None and self.orphan_dependents is not None:
            why = "orphanDependents and deletionPropagation cannot be both set"
            causes.append(status.bad_value("propagationPolicy", self.propagation_policy, why))
        causes += dry_run_causes(self.dry_run or [])
        if causes:
            raise status.invalid("DeleteOptions", "meta.k8s.io", "", causes)


def dry_run_causes(values: list[str]) -> list[status.Cause]:
    """Say what is wrong with a dryRun parameter: All is the only one there is."""
    return [] if all(one == "All" for one in values) else [status.not_supported("dryRun", values, ["All"])]


def media_of(request: Request) -> str:
    """Return the media type of a request's body, without its parameters; empty where none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wants_table(accept: str) -> bool:
    """Tell whether an Accept header puts a Table before plain JSON. Raises Refusal (406) when neither will do."""
    acceptable = not accept.strip()
    for clause in accept.split(","):
        media, *parameters = [part.strip() for part in clause.split(";")]
        given = dict(part.split("=", 1) for part in parameters if "=" in part)
        if media == JSON and given.get("as") == "Table" and given.get("g", "") == "meta.k8s.io":
            return True
        if media in {JSON, "*/*", "application/*"} and "as" not in given:
            acceptable = True
            break
    if not acceptable:
        raise status.Refusal(406, "NotAcceptable", "only the following media types are accepted: application/json")
    return False
