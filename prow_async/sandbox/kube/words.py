"""Which names, label keys and label values Kubernetes takes.

Source: RFC 1123; Kubernetes "Object Names and IDs", "Labels and Selectors". Wordings as kube-apiserver's.
"""

import re
from typing import Any

from prow_async.sandbox.kube import status

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_part = re.compile(_PART).fullmatch
_DATA_KEY = "[-._a-zA-Z0-9]+"
_is_data_key = re.compile(_DATA_KEY).fullmatch

BAD_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
BAD_LABEL_NAME = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    f" an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
BAD_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    f" character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_PART}')"
)
BAD_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    f" '({_PART})?')"
)
BAD_KEY = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    f" alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_PART}')"
    " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
BAD_DATA_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or"
    f" 'key-name', regex used for validation is '{_DATA_KEY}')"
)


def wrong_with_data_key(key: str) -> str:
    """Say what is wrong with a key of a ConfigMap or Secret; empty when nothing is."""
    if len(key) > 253:
        return "must be no more than 253 characters"
    return "" if _is_data_key(key) and key not in {".", ".."} else BAD_DATA_KEY


def wrong_with_subdomain(name: str) -> str:
    """Say what is wrong with an object's name; empty when nothing is."""
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return "" if _is_subdomain(name) else BAD_SUBDOMAIN


def wrong_with_label_name(name: str) -> str:
    """Say what is wrong with a namespace's or container's name; empty when nothing is."""
    if len(name) > 63:
        return "must be no more than 63 bytes"
    return "" if _is_label(name) else BAD_LABEL_NAME


def wrong_with_key(key: str) -> str:
    """Say what is wrong with a label or annotation key; empty when nothing is."""
    prefix, slash, part = key.rpartition("/")
    if "/" in prefix:
        return BAD_KEY
    if slash and wrong_with_subdomain(prefix):
        return f"prefix part {wrong_with_subdomain(prefix)}"
    if len(part) > 63:
        return "name part must be no more than 63 bytes"
    return "" if _is_part(part) else BAD_PART


def wrong_with_value(value: str) -> str:
    """Say what is wrong with a label's value; empty when nothing is."""
    if len(value) > 63:
        return "must be no more than 63 bytes"
    return "" if not value or _is_part(value) else BAD_VALUE


_PLAIN_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def check_metadata(metadata: dict[str, Any], custom: bool) -> list[status.Cause]:
    """Check labels, annotations and finalizers, in this order.

    Args:
        custom: finalizers of custom resources need no domain before the slash.
    """
    causes = []
    for key, value in metadata.get("labels", {}).items():
        if why := wrong_with_key(key):
            causes.append(status.bad_value("metadata.labels", key, why))
        if why := wrong_with_value(value):
            causes.append(status.bad_value("metadata.labels", value, why))
    size_bytes = 0
    for key, value in metadata.get("annotations", {}).items():
        size_bytes += len(key.encode()) + len(value.encode())
        if why := wrong_with_key(key.lower()):
            causes.append(status.bad_value("metadata.annotations", key, why))
    if size_bytes > 256 * 1024:
        causes.append(
            status.Cause("FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations")
        )
    named = ((one, wrong_with_key(one)) for one in metadata.get("finalizers", ()))
    causes.extend(status.bad_value("metadata.finalizers", one, why) for one, why in named if why)
    if not custom:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        for index, one in enumerate(metadata.get("finalizers", ())):
            if "/" not in one and one not in _PLAIN_FINALIZERS:
                causes.append(status.bad_value(f"metadata.finalizers[{index}]", one, why))
    return causes
