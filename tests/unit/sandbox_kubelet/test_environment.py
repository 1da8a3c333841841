"""Environment variables and $(VAR) references."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.sandbox.kubelet import environment
from prow_async.sandbox.kubelet.environment import Source
from prow_async.sandbox.kubelet.refusal import CANNOT, CONFIG, Unfit
from tests.unit.sandbox_kubelet.pods import UID, container, pod


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$(C)", "$(A)"),
        ("", ""),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    """References to what is known are replaced once; `$$` stands for `$`; all else stays."""
    assert environment.expand(text, {"A": "1", "B": "2", "C": "$(A)"}) == expanded


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_references_stays(text: str) -> None:
    assert environment.expand(text, {"A": "1"}) == text


def variables(data: environment.Data | None = None, meta: dict[str, Any] | None = None, **more: Any) -> dict[str, str]:
    subject = pod(container(**more), meta=meta)
    return environment.variables(subject, subject.spec.containers[0], data or {})


def test_values_refer_to_earlier_ones_and_later_ones_win() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(C)"},
        {"name": "C", "value": "3"},
        {"name": "A", "value": "new"},
    ]
    assert variables(env=env) == {"A": "new", "B": "1$(C)", "C": "3"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "a-pod"),
        ("metadata.namespace", "test-pods"),
        ("metadata.uid", UID),
        ("metadata.labels['prow.k8s.io/job']", "unit"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['a']", "b"),
        ("status.podIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    meta = {"labels": {"prow.k8s.io/job": "unit"}, "annotations": {"a": "b"}}
    env = [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    assert variables(env=env, meta=meta) == {"X": value}


SECRET, MAP = Source("secret", "s"), Source("configmap", "m")


def test_secrets_and_config_maps() -> None:
    """Single keys, whole objects with a prefix, optional ones that are not there."""
    env = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        {"name": "NO", "valueFrom": {"secretKeyRef": {"name": "s", "key": "no", "optional": True}}},
        {"name": "LOST", "valueFrom": {"configMapKeyRef": {"name": "lost", "key": "k", "optional": True}}},
        {"name": "SAID", "value": "$(P_word) $(TOKEN)"},
    ]
    env_from = [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "lost", "optional": True}}]
    subject = pod(container(env=env, envFrom=env_from))
    lost = Source("configmap", "lost"), Source("secret", "lost")
    assert environment.sources(subject) == [lost[0], MAP, lost[1], SECRET]
    data: environment.Data = {
        SECRET: {"token": "t"},
        MAP: {"word": "hi", "bad=name": "x", "nul": "\0"},
        Source("configmap", "lost"): None,
        Source("secret", "lost"): None,
    }
    assert variables(data, env=env, envFrom=env_from) == {"P_word": "hi", "TOKEN": "t", "SAID": "hi t"}


@pytest.mark.parametrize(
    ("env", "reason", "told"),
    [
        ({"valueFrom": {"secretKeyRef": {"name": "s", "key": "no"}}}, CONFIG, "needs key 'no' of secret 's'"),
        ({"valueFrom": {"secretKeyRef": {"name": "lost", "key": "k"}}}, CONFIG, "secret 'lost', which does not exist"),
        ({"valueFrom": {"configMapKeyRef": {"name": "m", "key": "nul"}}}, CONFIG, "holds a NUL byte"),
        ({"valueFrom": {"fieldRef": {"fieldPath": "spec.hostname"}}}, CANNOT, "'spec.hostname', which is not served"),
    ],
)
def test_what_is_missing_is_named_without_its_value(env: dict[str, Any], reason: str, told: str) -> None:
    data: environment.Data = {SECRET: {"token": "hush"}, MAP: {"nul": "hush\0"}, Source("secret", "lost"): None}
    with pytest.raises(Unfit) as caught:
        variables(data, env=[{"name": "X", **env}])
    assert caught.value.refusal.reason == reason
    assert told in caught.value.refusal.message
    assert "hush" not in caught.value.refusal.message


def test_secrets_are_decoded() -> None:
    raw = msgspec.json.encode({"data": {"a": base64.b64encode(b"x").decode()}})
    assert environment.decode("secret", raw) == {"a": "x"}
    assert environment.decode("configmap", b'{"data": {"a": "x"}, "binaryData": {"b": "AA=="}}') == {"a": "x"}
    assert environment.decode("configmap", b"{}") == {}
    with pytest.raises(Unfit, match="does not hold text"):
        environment.decode("secret", msgspec.json.encode({"data": {"a": base64.b64encode(b"\xff").decode()}}))
