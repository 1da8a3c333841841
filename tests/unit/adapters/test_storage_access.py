"""How buckets are reached: addresses and styles by what the credentials say."""

import json
from pathlib import Path
from typing import Any

import pytest

from prow_async.adapters.storage import cloud_access, names

PATIENT = cloud_access.PATIENT


def config(tmp_path: Path, bucket: str = "bucket", **credentials: Any) -> dict[str, Any]:
    file = tmp_path / "s3.json"
    file.write_text(json.dumps(credentials))
    return dict(cloud_access.s3(names.parse(f"s3://{bucket}"), str(file), PATIENT).config)


@pytest.mark.parametrize(
    ("bucket", "credentials", "endpoint", "virtual"),
    [
        ("bucket", {}, None, "true"),
        ("bucket", {"s3_force_path_style": True}, None, "false"),
        ("with.dots", {}, None, "false"),
        ("bucket", {"endpoint": "https://minio:9000", "s3_force_path_style": True}, "https://minio:9000", "false"),
        ("bucket", {"endpoint": "https://minio:9000/"}, "https://bucket.minio:9000", "true"),
        ("bucket", {"endpoint": "minio", "insecure": True}, "http://bucket.minio", "true"),
        ("bucket", {"endpoint": "minio"}, "https://bucket.minio", "true"),
        ("bucket", {"endpoint": "http://10.0.0.1:9000"}, "http://10.0.0.1:9000", "false"),
        ("bucket", {"endpoint": "http://[::1]:9000"}, "http://[::1]:9000", "false"),
    ],
)
def test_addresses(
    tmp_path: Path, bucket: str, credentials: dict[str, Any], endpoint: str | None, virtual: str
) -> None:
    found = config(tmp_path, bucket, **credentials)
    assert (found.get("endpoint"), str(found["virtual_hosted_style_request"]).lower()) == (endpoint, virtual)


def test_keys_and_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    found = config(tmp_path, access_key="a", secret_key="s", session_token="t", region="eu-west-1", unknown=1)
    assert (found["access_key_id"], found["secret_access_key"], found["session_token"]) == ("a", "s", "t")
    assert found["region"] == "eu-west-1"
    assert config(tmp_path, access_key="a").get("access_key_id") is None
    assert config(tmp_path)["region"] == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert config(tmp_path)["region"] == "us-west-2"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("bucket", "gs://bucket"),
        ("gs://bucket/", "gs://bucket"),
        ("bucket/ci/jobs", "gs://bucket/ci/jobs"),
        ("s3://bucket/ci/", "s3://bucket/ci"),
        ("file:///a/b/", "file:///a/b"),
    ],
)
def test_how_buckets_are_spelled(text: str, url: str) -> None:
    assert names.parse(text).url == url
