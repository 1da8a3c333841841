"""Pods that crier holds until what is known of them is stored: none is held for nothing."""

from pathlib import Path

import msgspec

from prow_async.actors.reporters.pods import PodReporter
from prow_async.api import names
from prow_async.api.config import DecorationEntry, Plank, Sinker
from prow_async.api.prowjob import DecorationConfig
from tests.actors.outlets import Outlets
from tests.actors.test_reporters import GCS, advance, reported, town_with, with_pod
from tests.actors.worlds import passes, settle, story


@story
async def test_a_place_that_no_storage_can_hold(tmp_path: Path) -> None:
    """1. The folder's name cannot be one. 2. An event tells, once. 3. The pod goes when its time has come."""
    gcs = msgspec.structs.replace(GCS, path_prefix="bell\x07")
    entry = DecorationEntry(config=DecorationConfig(gcs_configuration=gcs))
    sweeps = Sinker(resync_period_s=60, max_pod_age_s=1800, terminated_pod_ttl_s=600)
    town = town_with(plank=Plank(default_decoration_config_entries=(entry,)), sinker=sweeps)
    outlets = Outlets(town, tmp_path)
    with_pod(town, town.presubmit("a"))
    async with town.engine("crier", "sinker", reports=outlets.reports(PodReporter)):
        advance(town, "a", "pending")
        await settle()
        assert town.kube.pod("a")["metadata"]["finalizers"] == [names.GCS_K8S_FINALIZER]
        advance(town, "a", "success")
        await settle()
        (event,) = town.kube.event_texts()
        assert "cannot be the name of an object" in event
        assert reported(town, "a") == {"gcsk8sreporter": "success"}
        await passes(1200)
        assert town.kube.all_pods() == []
