"""The store, our own last writes over it, and the index of pull requests."""

import anyio
import msgspec

from prow_async.actors.overlay import Overlay
from prow_async.actors.pull_index import PullIndex
from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView, PullView
from tests.actors.worlds import settle, story
from tests.unit.core import samples


def view(version: str, name: str = "a", uid: str = "u1", **more: object) -> JobView:
    return samples.view(name=name, uid=uid, resource_version=version, **more)


def stored(*views: JobView) -> Store[JobView]:
    store: Store[JobView] = Store()
    for one in views:
        store.put(one, b"{}")
    return store


def told(store: Store[JobView]) -> list[tuple[str, str | None, str | None]]:
    found: list[tuple[str, str | None, str | None]] = []

    def changed(change: Change[JobView]) -> None:
        old, new = (view.resource_version if view is not None else None for view in (change.old, change.new))
        found.append((change.name, old, new))

    store.subscribe(changed)
    return found


def test_store_tells_each_change_once() -> None:
    """What is known is told at once; then every change, none twice, a replaced object as gone and new."""
    store = stored(view("1"))
    news = told(store)
    store.put(view("1"), b"{}")
    store.put(view("2"), b"{}")
    store.put(view("9", uid="u2"), b"{}")
    store.remove("a")
    store.remove("a")
    assert news == [("a", None, "1"), ("a", "1", "2"), ("a", "2", None), ("a", None, "9"), ("a", "9", None)]


def test_store_keeps_raw_while_wanted() -> None:
    """The whole JSON is kept only of views that want it, and goes as soon as they no longer do."""
    store: Store[JobView] = Store(keep_raw=lambda job: job.state == "triggered")
    store.put(view("1", state="triggered"), b"whole")
    assert store.raw("a") == b"whole"
    store.put(view("2", state="pending"), b"whole")
    assert store.raw("a") is None


def test_store_keeps_only_what_a_listing_showed() -> None:
    store = stored(view("1"), view("2", "b"), view("3", "c"))
    news = told(store)
    store.keep_only(["b"])
    assert sorted(name for name, _, new in news[3:] if new is None) == ["a", "c"]
    assert store.names() == {"b"}
    assert len(store) == 1


@story
async def test_store_syncs_once() -> None:
    """Everybody who waits is told of the first sync; whoever comes later, at once."""
    store = stored()
    calls: list[str] = []
    store.on_synced(lambda: calls.append("early"))
    async with anyio.create_task_group() as group:
        group.start_soon(store.wait_synced)
        await settle()
        store.mark_synced()
        store.mark_synced()
    store.on_synced(lambda: calls.append("late"))
    await store.wait_synced()
    assert calls == ["early", "late"]


def test_overlay_shows_our_write_until_the_watch_does() -> None:
    """Our result counts while the store shows what it was based on; whatever comes then is the newer truth."""
    store = stored(view("1"))
    overlay = Overlay(store)
    overlay.wrote("a", "1", view("2", state="pending"))
    assert overlay.get("a") == view("2", state="pending")
    store.put(view("5"), b"{}")
    assert overlay.get("a") == view("5")
    assert len(overlay) == 0


def test_overlay_follows_a_chain_of_writes() -> None:
    """A second write based on our first counts too, until the watch has shown it, or something else."""
    store = stored(view("1"))
    overlay = Overlay(store)
    overlay.wrote("a", "1", view("2"))
    overlay.wrote("a", "2", view("3"))
    found = overlay.get("a")
    assert found is not None
    assert found.resource_version == "3"
    store.put(view("2"), b"{}")
    assert overlay.get("a") == view("3")
    store.put(view("3", state="pending"), b"{}")
    assert overlay.get("a") == view("3", state="pending")
    assert len(overlay) == 0


def test_overlay_gives_way_to_another_writer() -> None:
    store = stored(view("1"))
    overlay = Overlay(store)
    overlay.wrote("a", "1", view("2"))
    overlay.wrote("a", "2", view("3"))
    store.put(view("4"), b"{}")
    assert overlay.get("a") == view("4")
    assert len(overlay) == 0


def test_overlay_takes_no_result_that_the_watch_has_overtaken() -> None:
    store = stored(view("2"))
    overlay = Overlay(store)
    overlay.wrote("a", "1", view("2"))
    assert len(overlay) == 0


def test_overlay_of_a_creation() -> None:
    """What we created is there for us at once; deleted behind our back, it is gone once the watch has shown both."""
    store = stored()
    overlay = Overlay(store)
    overlay.wrote("a", "", view("2"))
    assert overlay.get("a") == view("2")
    store.put(view("2"), b"{}")
    store.remove("a")
    assert overlay.get("a") in (None, view("2"))
    overlay.forget("a")
    assert overlay.get("a") is None


def test_pull_index() -> None:
    """Jobs of a pull request, oldest first; a batch belongs to all its pulls; what is swept away goes."""
    store = stored()
    index = PullIndex(store)
    store.put(view("1", "young", created_s=20.0), b"{}")
    store.put(view("2", "old", created_s=10.0), b"{}")
    batch = view("3", "batch", created_s=30.0)
    store.put(msgspec.structs.replace(batch, pulls=(PullView(5, "5" * 40), PullView(6, "6" * 40))), b"{}")
    assert [job.name for job in index.jobs_of("o", "r", 5)] == ["old", "young", "batch"]
    assert [job.name for job in index.jobs_of("o", "r", 6)] == ["batch"]
    assert index.jobs_of("o", "other", 5) == []
    store.put(view("4", "old", created_s=10.0, state="pending"), b"{}")
    store.remove("young")
    store.remove("batch")
    assert [(job.name, job.state) for job in index.jobs_of("o", "r", 5)] == [("old", "pending")]
    assert index.jobs_of("o", "r", 6) == []
