"""hmac: makes and rotates webhook secrets, in a Kubernetes Secret or a file, and the webhooks that use them.

Source: upstream cmd/hmac. The secret that is to come is written first, then webhooks are changed to it, then old ones
are pruned: at no moment is a webhook signed with a secret the hook does not know.
"""

import base64
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
import msgspec

from prow_async.adapters import logs
from prow_async.adapters.kube import clusters
from prow_async.api.errors import CannotStart, Missing, ProwError, Refused, Retry, Stale, UserMistake
from prow_async.api.github import HookOf, HookWanted
from prow_async.apps import flag_groups, flags, process
from prow_async.apps.flags import Flag
from prow_async.core import hmac_file, instants
from prow_async.core.hmac_file import Levels, Plan, Token
from prow_async.ports.github import HookAdmin
from prow_async.ports.transport import Transport

PROGRAM = "prow-async hmac"
FLAGS = (
    *flag_groups.CONFIG,
    *flag_groups.KUBERNETES,
    *flag_groups.GITHUB_FOR_A_PERSON,
    Flag("dry-run", "bool", True, "change nothing, say what would be changed"),
    Flag("kubeconfig-context", "str", "", "context of the cluster that holds the secret"),
    Flag("hook-url", "str", "", "the hook's address as GitHub reaches it"),
    Flag("hmac-token-secret-namespace", "str", "default", "namespace of the secret"),
    Flag("hmac-token-secret-name", "str", "", "name of the secret"),
    Flag("hmac-token-key", "str", "", "key in it"),
    Flag("hmac-token-file", "str", "", "keep the secrets in this file instead of a cluster (ours)"),
    Flag(
        "make", "strings", (), "only make one more secret for this org, org/repo or *; webhooks are left alone (ours)"
    ),
    Flag("prune", "bool", False, "only drop all secrets but the newest of each scope; webhooks are left alone (ours)"),
    Flag("wait", "duration", 20.0, "time for the hook to see a new secret before webhooks use it (ours)"),
)


class Store(Protocol):
    """Where the secret file lies. Both raise ProwErrors."""

    async def read(self) -> bytes: ...

    async def write(self, content: bytes) -> None: ...


def main(argv: Sequence[str]) -> int:
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    values = parsed.values
    needed = [] if values["hmac-token-file"] else ["kubeconfig-context", "hmac-token-secret-name", "hmac-token-key"]
    if not (values["make"] or values["prune"]):
        needed += ["hook-url", "config-path"]
    lacking = [f"--{name}" for name in needed if not values[name]]
    if lacking:
        raise CannotStart(f"{PROGRAM}: needed and not given: {', '.join(lacking)}")
    censor = logs.Censor()
    logs.set_up("hmac", censor, "warning")
    return int(process.run_loop(run, process.new_shell("hmac", parsed, censor)))


async def run(shell: process.Shell) -> int:
    """Raises CannotStart with one line for a person; returns 1 when a webhook could not be changed."""
    values = shell.flags.values
    try:
        async with _store(shell) as store:
            found = hmac_file.read(await store.read())
            if values["make"] or values["prune"]:
                return await _by_hand(store, found, values, shell.clock.now())
            wanted = process.load_config(shell).current().config.managed_webhooks
            if wanted.auto_accept_invitation:
                _say("managed_webhooks.auto_accept_invitation has no effect: accept invitations by hand")
            plan = hmac_file.plan(found, wanted, shell.clock.now(), _make)
            async with process.connect_github(shell) as github:
                return await _carry_out(plan, store, github, values)
    except UserMistake as mistake:
        raise CannotStart(f"{PROGRAM}: {mistake.text_for_user}") from mistake
    except ProwError as error:
        if isinstance(error, CannotStart):
            raise
        raise CannotStart(f"{PROGRAM}: {error}") from error


def _make() -> str:
    return secrets.token_hex(20)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


async def _by_hand(store: Store, found: Levels | str, values: Mapping[str, Any], now_s: float) -> int:
    """Make secrets or prune them, without a look at GitHub."""
    changed: Levels = {hmac_file.EVERYWHERE: (Token(found),)} if isinstance(found, str) else found
    for scope in values["make"]:
        if not hmac_file.is_scope(scope):
            raise UserMistake(f"--make={scope}: give an org, org/repo or *")
        changed = hmac_file.add(changed, scope, Token(_make(), instants.rfc3339(now_s)))
        _say(f"{scope}: one more secret; it now has {len(changed[scope])}")
    if values["prune"]:
        _say(f"old secrets that go: {sum(map(len, changed.values())) - len(changed)}")
        changed = {scope: hmac_file.newest(tokens) for scope, tokens in changed.items()}
    await _keep(store, changed, values)
    return 0


async def _keep(store: Store, levels: Levels, values: Mapping[str, Any]) -> None:
    if values["dry-run"]:
        _say("dry run: the secret is not written (--dry-run=false writes it)")
    else:
        await store.write(hmac_file.write(levels))


async def _carry_out(plan: Plan, store: Store, github: HookAdmin, values: Mapping[str, Any]) -> int:
    for scope in plan.removed:
        _say(f"{scope}: no longer managed; its webhook and secrets go")
    for scope in plan.new:
        _say(
            f"{scope}: a new secret{', beside the old ones' if scope in plan.before else ''}; its webhook changes to it"
        )
    if not plan.new and not plan.removed:
        _say("every webhook has a secret that is new enough")
    dry = values["dry-run"]
    await _keep(store, plan.levels, values)
    if plan.new and not dry:
        await anyio.sleep(values["wait"])
    failed: set[str] = set()
    for scope in (*plan.removed, *plan.new):
        token = plan.new.get(scope)
        wanted = None if token is None else HookWanted(values["hook-url"], token.value)
        try:
            await _webhook(github, scope, values["hook-url"], wanted, dry)
        except ProwError as error:
            failed.add(scope)
            _say(f"{scope}: webhook not changed: {error}")
    await _keep(store, hmac_file.settled(plan, failed), values)
    return 1 if failed else 0


async def _webhook(github: HookAdmin, scope: str, url: str, wanted: HookWanted | None, dry: bool) -> None:
    """Bring the webhook of a scope to what is wanted; None: it goes."""
    org, _, repo = scope.partition("/")
    there = [hook for hook in await github.hooks(org, repo) if hook.config.url == url]
    if wanted is None:
        for hook in there:
            _say(f"{scope}: webhook {hook.id} is removed")
            if not dry:
                await github.delete_hook(HookOf(org, repo, hook.id))
    elif there:
        _say(f"{scope}: webhook {there[0].id} is changed")
        if not dry:
            await github.edit_hook(HookOf(org, repo, there[0].id), wanted)
    else:
        _say(f"{scope}: a webhook is made")
        if not dry:
            await github.create_hook(org, repo, wanted)


class FileStore:
    """A file of this machine; written beside and renamed, for its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise CannotStart(f"{PROGRAM}: {self._path} cannot be read: {error.strerror}") from error

    async def write(self, content: bytes) -> None:
        try:
            with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as beside:
                beside.write(content)
                beside.flush()
                os.fsync(beside.fileno())
            os.replace(beside.name, self._path)
        except OSError as error:
            raise CannotStart(f"{PROGRAM}: {self._path} cannot be written: {error.strerror}") from error


class SecretStore:
    """A key of a Kubernetes Secret. A change of somebody else in between is not overwritten: Stale."""

    def __init__(self, transport: Transport, namespace: str, name: str, key: str) -> None:
        self._transport = transport
        self._path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        self._key = key
        self._version = ""

    async def read(self) -> bytes:
        secret = await self._send("GET", b"")
        self._version = secret["metadata"]["resourceVersion"]
        return base64.b64decode((secret.get("data") or {}).get(self._key, ""))

    async def write(self, content: bytes) -> None:
        patch = {
            "metadata": {"resourceVersion": self._version},
            "data": {self._key: base64.b64encode(content).decode()},
        }
        self._version = (await self._send("PATCH", msgspec.json.encode(patch)))["metadata"]["resourceVersion"]

    async def _send(self, method: str, body: bytes) -> Any:
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/merge-patch+json"
        async with self._transport.send(method, self._path, headers, body) as reply:
            status, answer = reply.status, await reply.read()
        if status == 404:
            raise Missing(f"there is no secret at {self._path}: create it first, empty if there is none yet")
        if status == 409:
            raise Stale(f"the secret at {self._path} was changed by somebody else meanwhile: start again")
        if status >= 500 or status == 429:
            raise Retry(f"the cluster answered {status} for {self._path}", status=status)
        if status != 200:
            raise Refused(f"the cluster answered {status} for {self._path}", status)
        return msgspec.json.decode(answer)


@asynccontextmanager
async def _store(shell: process.Shell) -> AsyncIterator[Store]:
    values = shell.flags.values
    if values["hmac-token-file"]:
        yield FileStore(Path(values["hmac-token-file"]))
        return
    wanted = clusters.Flags(
        kubeconfig=values["kubeconfig"],
        kubeconfig_dir=values["kubeconfig-dir"],
        kubeconfig_suffix=values["kubeconfig-suffix"],
        in_cluster=not values["no-in-cluster-config"],
        projected_token_file=values["projected-token-file"],
    )
    sources, context = clusters.find(wanted), values["kubeconfig-context"]
    if context not in sources:
        raise CannotStart(f"{PROGRAM}: no context {context!r}; there are: {', '.join(sorted(filter(None, sources)))}")
    async with clusters.connect_all({context: sources[context]}, "hmac") as transports:
        where = values["hmac-token-secret-namespace"], values["hmac-token-secret-name"]
        yield SecretStore(transports[context], *where, values["hmac-token-key"])
