"""A real kube-apiserver that writes down who asked for what, and what it answered."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests import realkube
from tests.deploy.manifests import Verb

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
"""


class Audited(msgspec.Struct, frozen=True):
    """The server, and the log of all that service accounts asked of it."""

    server: realkube.Server
    log: Path

    def requests(self, account: str) -> Iterator[dict[str, Any]]:
        user = f"system:serviceaccount:{account.replace('/', ':')}"
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the last line may be half written
                event = json.loads(line)
                if event["user"]["username"] == user:
                    yield event

    def used(self, account: str) -> set[Verb]:
        """Return what an account was let do. `account` is NAMESPACE/NAME."""
        return {_verb(event) for event in self.requests(account) if "objectRef" in event and not _refused(event)}

    def refused(self, account: str) -> list[str]:
        """Return what it was not let do."""
        return [f"{event['verb']} {event['requestURI']}" for event in self.requests(account) if _refused(event)]


def _refused(event: dict[str, Any]) -> bool:
    return event.get("responseStatus", {}).get("code") in {401, 403}


def _verb(event: dict[str, Any]) -> Verb:
    about = event["objectRef"]
    resource = f"{about['resource']}.{about.get('apiGroup', '')}".rstrip(".")
    if about.get("subresource"):
        resource += f"/{about['subresource']}"
    return about.get("namespace", ""), resource, event["verb"]


@contextlib.contextmanager
def audited(streams_lists: bool = True) -> Iterator[Audited]:
    """Start the server, without any resource of ours in it.

    Args:
        streams_lists: whether a watch may begin with all there is, as since Kubernetes 1.34; else a list comes first.
    """
    with tempfile.TemporaryDirectory(prefix="prow-async-audit-") as folder:
        policy, log = Path(folder) / "policy.yaml", Path(folder) / "audit.log"
        policy.write_text(POLICY)
        flags = [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]
        if not streams_lists:
            flags.append("--feature-gates=WatchList=false")
        with realkube.running(flags=flags, crd=False) as server:
            yield Audited(server, log)
