"""What crier's reporters need beside Kubernetes: storage, Slack, Pub/Sub, as the flags say."""

import functools
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.actors.reporters.github import GitHubReporter
from prow_async.actors.reporters.pods import PodReporter
from prow_async.actors.reporters.pubsub import PubSubReporter
from prow_async.actors.reporters.reads import Make, Reports
from prow_async.actors.reporters.slack import SlackReporter
from prow_async.adapters import config_files, google_tokens, outgoing, pubsub, secret_file, slack, storage
from prow_async.adapters.storage.threads import ThreadedStorage
from prow_async.api.errors import CannotStart
from prow_async.apps import process
from prow_async.core import crier_slack, run_page
from prow_async.ports.blobs import Storage
from prow_async.ports.kube import PodInfo
from prow_async.ports.messages import Topics

REPORTERS: dict[str, Make] = {
    "github-workers": GitHubReporter,
    "blob-storage-workers": BlobReporter,
    "kubernetes-blob-storage-workers": PodReporter,
    "slack-workers": SlackReporter,
    "pubsub-workers": PubSubReporter,
}
"""By the flag that turns them on."""
_FILE = "file://"


def chosen(shell: process.Shell) -> list[str]:
    """Return the flags of the reporters that are on. Raises CannotStart when none is, or what one needs is missing."""
    values = shell.flags.values
    wanted = [name for name in values if name.endswith("-workers") and values[name] > 0]
    known = [name for name in REPORTERS if name in wanted]
    if not wanted:
        raise CannotStart("no reporter is on; --github-workers=1 turns the GitHub reporter on")
    if not known:
        there = ", ".join(f"--{name}" for name in REPORTERS)
        raise CannotStart(f"the reporters asked for do not exist yet; there are {there}")
    if not 0 <= values["kubernetes-report-fraction"] <= 1:
        raise CannotStart("--kubernetes-report-fraction is a share: a number from 0 to 1")
    if "slack-workers" in known and not (values["slack-token-file"] or values["additional-slack-token-files"]):
        raise CannotStart("--slack-workers needs --slack-token-file or --additional-slack-token-files=HOST=PATH")
    return known


async def opened(
    shell: process.Shell,
    config: config_files.ConfigFiles,
    infos: Mapping[str, PodInfo],
    stack: AsyncExitStack,
) -> Reports:
    """Open what the reporters that are on need. Nothing is asked of a server yet. Raises CannotStart."""
    values = shell.flags.values
    reporters = chosen(shell)
    found = Reports(
        reporters=[REPORTERS[name] for name in reporters],
        agent=values.get("report-agent", ""),
        pod_fraction=values["kubernetes-report-fraction"],
        pod_infos=infos,
    )
    if {"blob-storage-workers", "kubernetes-blob-storage-workers"} & set(reporters):
        files = (values["gcs-credentials-file"], values["s3-credentials-file"])
        found = msgspec.structs.replace(found, storage=open_storage(config, *files))
    if not {"slack-workers", "pubsub-workers"} & set(reporters):
        return found
    sender = await stack.enter_async_context(outgoing.opened(shell.name))
    if "slack-workers" in reporters:
        if not config.current().config.slack_reporter_configs:
            raise CannotStart("--slack-workers: the configuration has no slack_reporter_configs")
        client = slack.SlackClient(sender, slack_tokens(shell), values["slack-endpoint"])
        found = msgspec.structs.replace(found, slack=client)
    if "pubsub-workers" in reporters:
        found = msgspec.structs.replace(found, topics=_topics(shell, sender))
    return found


def open_storage(config: config_files.ConfigFiles, gcs_file: str = "", s3_file: str = "") -> Storage:
    """Open storage. Folders only where the configuration names them: jobs of repositories could name any."""
    for path in filter(None, (gcs_file, s3_file)):
        if not Path(path).is_file():
            raise CannotStart(f"the credentials file {path} does not exist")
    known = buckets(config)
    return ThreadedStorage(
        functools.partial(storage.open_bucket, gcs_credentials_file=gcs_file, s3_credentials_file=s3_file),
        lambda bucket: not bucket.startswith(_FILE) or bucket in known(),
    )


def buckets(config: config_files.ConfigFiles) -> Callable[[], frozenset[str]]:
    """Return what tells the buckets of the configuration in force; gathered once for each."""

    @functools.lru_cache(maxsize=1)
    def gathered(digest: str) -> frozenset[str]:
        return run_page.buckets(config.current().config)

    return lambda: gathered(config.current().digest)


def slack_tokens(shell: process.Shell) -> dict[str, Callable[[], str]]:
    """Read the token files, by host. Raises CannotStart."""
    found: dict[str, Callable[[], str]] = {}
    default = shell.flags["slack-token-file"]
    named = [entry.partition("=") for entry in shell.flags["additional-slack-token-files"]]
    if default:
        found[crier_slack.DEFAULT_HOST] = secret_file.SecretFile(default, "the Slack token", shell.censor)
    for host, mark, path in named:
        if not (host and mark and path):
            raise CannotStart(f"--additional-slack-token-files={host}{mark}{path}: write HOST=PATH")
        if [other for other, _, _ in named].count(host) > 1:
            raise CannotStart(f"--additional-slack-token-files: host {host} is named twice")
        found[host] = secret_file.SecretFile(path, f"the Slack token of {host}", shell.censor)
    return found


def _topics(shell: process.Shell, sender: outgoing.Sender) -> Topics:
    emulator = os.environ.get(pubsub.EMULATOR, "")
    if emulator:
        return pubsub.PubSub(sender, None, pubsub.endpoint_of(emulator))
    account = google_tokens.account_of(os.environ, Path.home())
    return pubsub.PubSub(sender, google_tokens.Tokens(sender, f"{pubsub.ENDPOINT}/", account, shell.censor))
