"""Who is let in, and what those without rights are told."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from prow_async.adapters.kube import collection, session
from prow_async.adapters.kube.credentials import Source
from prow_async.api.errors import Refused
from tests import realkube
from tests.contract.kube_targets import PROWJOBS, Target

pytestmark = pytest.mark.anyio


async def _refused(file: Path, namespace: str) -> Refused:
    """Read ProwJobs with a kubeconfig; return how that is refused."""
    async with session.connect(Source("x", (str(file),)), "contract") as transport:
        jobs = collection.KubeCollection(transport, "x", collection.PROWJOBS, namespace)
        with pytest.raises(Refused) as caught:
            await jobs.list_page(1)
        return caught.value


async def test_a_wrong_token(served_kube: Target, tmp_path: Path) -> None:
    """401, in the form of a Status, and no word about what is there."""
    assert served_kube.kubeconfig is not None
    config = yaml.safe_load(served_kube.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "s3cret"
    server = config["clusters"][0]["cluster"]["server"]
    config["clusters"][0]["cluster"]["server"] = "/".join(server.split("/")[:3])
    file = tmp_path / "other"
    file.write_text(yaml.safe_dump(config))
    refused = await _refused(file, served_kube.namespace)
    assert (refused.status, refused.reason) == (401, "Unauthorized")
    assert "s3cret" not in refused.why


def _once_allowed(server: realkube.Server, path: str, token: str) -> Any:
    """Read a path as soon as the server knows of a role that it has stored: its authorizer follows with a delay."""
    end = time.monotonic() + 30
    while True:
        try:
            return server.request("GET", path, token=token)
        except realkube.Answered as answer:
            if answer.status != 403 or time.monotonic() > end:
                raise
            time.sleep(0.05)


@pytest.mark.real
@pytest.mark.xdist_group("real_kube")
async def test_a_user_without_rights(real_kube: realkube.Server, tmp_path: Path) -> None:
    """403 with what was asked for; a role bound to the user opens it, as far as the role goes."""
    namespace = real_kube.namespace()
    account = f"system:serviceaccount:{namespace}:reader"
    token = real_kube.service_account_token(namespace, "reader")
    file = real_kube.write_kubeconfig(tmp_path / "reader", token)
    refused = await _refused(file, namespace)
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert f'User "{account}" cannot list resource "prowjobs"' in refused.why

    rules = [{"apiGroups": ["prow.k8s.io"], "resources": ["prowjobs"], "verbs": ["get", "list", "watch"]}]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    real_kube.request("POST", f"{path}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
    }
    real_kube.request("POST", f"{path}/rolebindings", binding)
    assert _once_allowed(real_kube, PROWJOBS.replace("{ns}", namespace), token)["items"] == []
    async with session.connect(Source("reader", (str(file),)), "contract") as transport:
        jobs = collection.KubeCollection(transport, "reader", collection.PROWJOBS, namespace)
        pods = collection.KubeCollection(transport, "reader", collection.PODS, namespace)
        assert [await jobs.may(verb) for verb in ("list", "watch", "patch")] == [True, True, False]
        assert not await pods.may("list")
    with pytest.raises(realkube.Answered) as caught:
        real_kube.request("DELETE", PROWJOBS.replace("{ns}", namespace), token=token)
    assert caught.value.status == 403


@pytest.mark.real
@pytest.mark.xdist_group("real_kube")
async def test_a_named_user(real_kube: realkube.Server, tmp_path: Path) -> None:
    """Static tokens have names; nobody has no rights at all."""
    file = real_kube.write_kubeconfig(tmp_path / "nobody", real_kube.tokens["nobody"])
    assert 'User "nobody" cannot list' in (await _refused(file, "default")).why
