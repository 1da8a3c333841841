"""phony and hmac as a person uses them: against a real hook, a file, the small GitHub and the small Kubernetes."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from prow_async import cli
from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import clusters
from prow_async.api.errors import Stale
from prow_async.apps import embedded, hmac_tokens
from prow_async.core import hmac_file, webhook
from prow_async.sandbox.github import http as github_http
from prow_async.sandbox.github.world import World
from tests.contract.inbox_parts import waiting
from tests.contract.test_web_hook import world

pytestmark = pytest.mark.anyio
HOOK = "https://prow.example/hook"


async def run(*words: str) -> int:
    return await anyio.to_thread.run_sync(cli.run, list(words))


async def test_phony_sends_what_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"repository": {"full_name": "org/repo"}}')
    async with world(tmp_path / "inbox") as there:
        sent = ["phony", f"--address={there.url}/hook", "--hmac=secret", "--event=push", f"--payload={payload}"]
        assert await run(*sent) == 0
        assert "200 Event received. Have a nice day." in capsys.readouterr().out
        (delivery,) = await there.inbox.pending(0, 10)
        assert (delivery.event, delivery.body) == ("push", payload.read_bytes())
        assert await run(*sent, "--hmac=wrong") == 1
        assert "403 Forbidden" in capsys.readouterr().out
        assert await run("phony", f"--address={there.url}/hook", "--hmac=secret") == 0, "a ping with {}"
        assert len(await waiting(there.inbox)) == 2
    assert await run(*sent) == 1
    assert "no answer" in capsys.readouterr().err
    assert await run("phony", "--payload=/nowhere") == 2
    assert await run("phony", "--address=not an address") == 1
    assert await run("phony", "--event=a\nb") == 2


async def test_secrets_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1. Dry run by default. 2. Made beside the one for all. 3. Pruned to the newest."""
    file = tmp_path / "hmac"
    file.write_text("one-for-all\n")
    tool = ["hmac", f"--hmac-token-file={file}"]
    assert await run(*tool, "--make=org/repo") == 0
    assert file.read_text() == "one-for-all\n"
    for _ in range(2):
        assert await run(*tool, "--make=org/repo", "--dry-run=false") == 0
    tokens = webhook.parse_tokens(file.read_bytes())
    assert tokens.levels["*"] == (b"one-for-all",)
    before, *made = tokens.levels["org/repo"]
    assert before == b"one-for-all", "its webhook signs with it"
    assert [len(token) for token in made] == [40, 40]
    assert await run(*tool, "--prune", "--dry-run=false") == 0
    assert len(webhook.parse_tokens(file.read_bytes()).levels["org/repo"]) == 1
    shown = "".join(capsys.readouterr())
    assert not any(token.decode() in shown for token in made), "no secret is shown"
    assert await run(*tool, "--make=a/b/c") == 2


@asynccontextmanager
async def small_github(tmp_path: Path) -> AsyncIterator[tuple[World, list[str]]]:
    """A GitHub with two repositories, and the flags that lead to it."""
    made, token = World(SystemIds()), tmp_path / "token"
    made.add_bot("bot", "bot-token")
    made.add_org("org", members=["ann"])
    for name in ("one", "two"):
        made.add_repo("org", name)
    token.write_text("bot-token")
    async with github_http.serve(made, SystemClock()) as url:
        yield made, [f"--github-endpoint={url}", f"--github-token-path={token}"]


async def test_managed_webhooks(tmp_path: Path) -> None:
    """1. New ones are made. 2. Rotated: the same webhook, a new secret. 3. Dropped: webhook and secret go."""
    file, config = tmp_path / "hmac", tmp_path / "config.yaml"
    file.write_text("one-for-all")

    def managed(**scopes: str) -> None:
        wanted = {scope.replace("__", "/"): {"token_created_after": after} for scope, after in scopes.items()}
        section = {"respect_legacy_global_token": True, "org_repo_config": wanted}
        config.write_text(json.dumps({"managed_webhooks": section}))

    async with small_github(tmp_path) as (github, flags):
        tool = [
            "hmac",
            f"--hmac-token-file={file}",
            f"--hook-url={HOOK}",
            f"--config-path={config}",
            *flags,
            "--wait=0s",
        ]
        github.add_hook("org", "one", "https://other.example/hook", b"theirs")
        managed(org__one="2020-01-01T00:00:00Z", org__two="2020-01-01T00:00:00Z")
        assert await run(*tool) == 0
        assert file.read_text() == "one-for-all"
        assert [len(github.repo("org", name).hooks) for name in ("one", "two")] == [1, 0]

        assert await run(*tool, "--dry-run=false") == 0
        levels = hmac_file.read(file.read_bytes())
        assert isinstance(levels, dict)
        (theirs, ours) = github.repo("org", "one").hooks
        assert (ours.url, ours.secret.decode(), ours.events) == (HOOK, levels["org/one"][0].value, ("*",))
        assert (theirs.secret, set(levels)) == (b"theirs", {"*", "org/one", "org/two"})

        assert await run(*tool, "--dry-run=false") == 0
        assert hmac_file.read(file.read_bytes()) == levels, "nothing is too old"

        aged = file.read_text().replace(levels["org/one"][0].created_at, "2021-01-01T00:00:00Z")
        file.write_text(aged)
        managed(org__one="2022-01-01T00:00:00Z")
        assert await run(*tool, "--dry-run=false") == 0
        after = hmac_file.read(file.read_bytes())
        assert isinstance(after, dict)
        assert [hook.id for hook in github.repo("org", "one").hooks] == [theirs.id, ours.id]
        assert ours.secret.decode() == after["org/one"][0].value != levels["org/one"][0].value
        assert (github.repo("org", "two").hooks, set(after)) == ([], {"*", "org/one"})


async def test_a_webhook_that_cannot_be_changed_keeps_both_secrets(tmp_path: Path) -> None:
    file, config = tmp_path / "hmac", tmp_path / "config.yaml"
    file.write_bytes(hmac_file.write({"org/gone": (hmac_file.Token("old"),)}))
    config.write_text(json.dumps({"managed_webhooks": {"org_repo_config": {"org/gone": {}, "org/one": {}}}}))
    async with small_github(tmp_path) as (github, flags):
        tool = ["hmac", f"--hmac-token-file={file}", f"--hook-url={HOOK}", f"--config-path={config}", *flags]
        assert await run(*tool, "--wait=0s", "--dry-run=false") == 1
        levels = hmac_file.read(file.read_bytes())
        assert isinstance(levels, dict)
        assert levels["org/gone"][0].value == "old"
        assert len(levels["org/gone"]) == 2
        assert len(github.repo("org", "one").hooks) == 1


async def test_the_one_secret_is_not_lost_by_accident(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, config = tmp_path / "hmac", tmp_path / "config.yaml"
    file.write_text("one-for-all")
    config.write_text("managed_webhooks: {org_repo_config: {org/one: {}}}")
    async with small_github(tmp_path) as (_, flags):
        tool = ["hmac", f"--hmac-token-file={file}", f"--hook-url={HOOK}", f"--config-path={config}", *flags]
        assert await run(*tool, "--dry-run=false") == 2
    assert "respect_legacy_global_token" in capsys.readouterr().err
    assert base64.b64encode(file.read_bytes()) == base64.b64encode(b"one-for-all")


async def test_secrets_in_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1. No secret: told. 2. Made in it; other keys stay. 3. A change of somebody else meanwhile is not overwritten."""
    place = embedded.Place(tmp_path, SystemClock(), SystemIds(), 0, 0, None, ())
    async with embedded.kube(place, "default", "default") as kube:
        where = ["--kubeconfig-context=prow-async", "--hmac-token-secret-name=hmac", "--hmac-token-key=hmac"]
        tool = ["hmac", f"--kubeconfig={kube.kubeconfig}", *where, "--make=org/repo", "--dry-run=false"]
        assert await run(*tool) == 2
        assert "there is no secret at" in capsys.readouterr().err
        secret = {"metadata": {"name": "hmac"}, "data": {"other": "b3RoZXI="}}
        path = "/api/v1/namespaces/default/secrets"
        async with kube.transport.send("POST", path, {"content-type": "application/json"}, json.dumps(secret).encode()):
            pass
        for count in (1, 2):
            assert await run(*tool) == 0
            async with kube.transport.send("GET", f"{path}/hmac") as reply:
                data = json.loads(await reply.read())["data"]
            assert base64.b64decode(data["other"]) == b"other"
            assert len(webhook.parse_tokens(base64.b64decode(data["hmac"])).levels["org/repo"]) == count
        async with clusters.connect_all(clusters.find(clusters.Flags(str(kube.kubeconfig))), "test") as found:
            store = hmac_tokens.SecretStore(found["prow-async"], "default", "hmac", "hmac")
            await store.read()
            assert await run(*tool) == 0
            with pytest.raises(Stale, match="start again"):
                await store.write(b"")
        assert await run(*tool, "--kubeconfig-context=nowhere") == 2
        assert "no context 'nowhere'" in capsys.readouterr().err
