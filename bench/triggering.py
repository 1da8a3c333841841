"""From a webhook to ProwJobs: how long beyond the calls to GitHub it needs, and how many calls those are."""

import msgspec

from bench import processes, triggering_child
from bench.jobs import Say, quantile
from bench.results import Spread, Triggering
from tests import realkube

PATIENCE_S = 900.0


def measure(server: realkube.Server, pulls: int, say: Say) -> Triggering:
    """Push to pull requests, one after another, GitHub late by 100 ms and at once. Raises Broken."""
    say(f"webhooks to ProwJobs: {pulls} pull requests on a repository with {triggering_child.ALL} presubmits")
    command = processes.module("bench.triggering_child", server.url, server.token, str(server.kubeconfig), str(pulls))
    said = processes.run(command, PATIENCE_S)
    found = msgspec.json.decode(said.splitlines()[-1], type=triggering_child.Found)
    beyond, created = sorted(found.beyond_calls_ms), sorted(found.all_created_ms)
    return Triggering(
        deliveries=len(beyond),
        delay_ms=triggering_child.DELAY_S * 1000,
        beyond_calls_ms=Spread(quantile(beyond, 0.5), quantile(beyond, 0.99)),
        created=triggering_child.RUN,
        all_created_ms=Spread(quantile(created, 0.5), quantile(created, 0.99)),
        first_reads=max(found.first_reads),
        second_reads=max(found.second_reads),
        every_plugin_reads=found.every_plugin_reads,
        every_plugin_distinct=found.every_plugin_distinct,
    )
