"""config-updater: which files go where, under which key, and what is said of it."""

import gzip
import hashlib
from typing import Any

import msgspec
import pytest

from prow_async.api.actions import CreateComment, Decision, UpdateConfigMap
from prow_async.api.errors import Refused, Retry
from prow_async.api.github import Branch, ChangedFile, PullRequestEvent
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_projects import ConfigMapSpec, ConfigUpdater
from prow_async.plugins import config_updater
from tests.unit.core import samples
from tests.unit.plugins import parts
from tests.unit.plugins.parts import World, happened

pytestmark = pytest.mark.anyio
SHA = "c" * 40
HERE = {"default": ("",)}


def merged(**changes: Any) -> PullRequestEvent:
    """Pull request o/r#5 of ben was merged into the default branch."""
    repo = msgspec.structs.replace(samples.REPO, default_branch="main")
    pull = msgspec.structs.replace(
        samples.pull_request(),
        **{
            "merged": True,
            "merge_commit_sha": SHA,
            "merged_at": "2026-01-01T00:00:00Z",
            "base": Branch("main", "b" * 40),
            **changes,
        },
    )
    return happened("closed", pull_request=pull, repository=repo)


def changed(path: str, status: str = "modified", before: str = "") -> ChangedFile:
    return ChangedFile(filename=path, status=status, previous_filename=before)


def glob(name: str = "config", **more: Any) -> ConfigMapSpec:
    return ConfigMapSpec(name=name, **{"clusters": HERE, **more})


async def facts_of(
    maps: dict[str, ConfigMapSpec],
    *files: ChangedFile,
    contents: dict[str, bytes] | None = None,
    packs: bool = False,
    world: World | None = None,
) -> config_updater.Facts | None:
    """Gather for a merge of files, each of which holds its own path unless `contents` says otherwise."""
    held = {file.filename: file.filename.encode() for file in files if file.status != "removed"} | (contents or {})
    world = world or World()
    world.files, world.tree = files, held
    config = PluginConfig(config_updater=ConfigUpdater(maps=maps, gzip=packs))
    facts = await config_updater.gather(parts.reads(world, config), merged(), samples.GUID)
    assert facts is None or isinstance(facts, config_updater.Facts)
    return facts and msgspec.structs.replace(facts, prowjob_namespace="prow")


async def updates(
    maps: dict[str, ConfigMapSpec], *files: ChangedFile, **more: Any
) -> dict[tuple[str, str, str], UpdateConfigMap]:
    facts = await facts_of(maps, *files, **more)
    assert facts is not None
    found: dict[tuple[str, str, str], UpdateConfigMap] = {}
    for action in config_updater.decide(facts).actions:
        assert isinstance(action, UpdateConfigMap)
        found[action.cluster, action.namespace, action.name] = action
    return found


async def only(maps: dict[str, ConfigMapSpec], *files: ChangedFile, **more: Any) -> UpdateConfigMap:
    (update,) = (await updates(maps, *files, **more)).values()
    return update


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        ("opened", {}),
        ("closed", {"merged": False}),
        ("closed", {"merge_commit_sha": None}),
        ("closed", {"base": Branch("release-1", "b" * 40)}),
    ],
)
async def test_only_what_was_merged_into_the_default_branch(action: str, changes: dict[str, Any]) -> None:
    event, world = merged(), World(files=(changed("a"),))
    event = msgspec.structs.replace(
        event, action=action, pull_request=msgspec.structs.replace(event.pull_request, **changes)
    )
    assert await parts.run(config_updater.PLUGIN, event, world) is None
    assert world.asked == []


async def test_nothing_is_read_without_need() -> None:
    world = World()
    facts = await facts_of({"jobs/*.yaml": glob()}, changed("docs/a.md"), world=world)
    assert facts is not None
    assert config_updater.decide(facts).actions == ()
    assert world.asked == ["files"]


async def test_a_file_is_put_under_its_name_beside_the_commit() -> None:
    """The namespace that is not named is that of the ProwJobs."""
    update = await only({"config/**/*.yaml": glob()}, changed("config/a/b/x.yaml"))
    assert (update.cluster, update.namespace, update.name) == ("default", "prow", "config")
    assert update.data == {"VERSION": SHA, "x.yaml": "config/a/b/x.yaml"}
    assert update.binary_data == {}
    assert update.removed == ()
    assert update.labels == {"app.kubernetes.io/name": "prow", "app.kubernetes.io/component": "updateconfig-plugin"}


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("a/*.yaml", "a/b.yaml", True),
        ("a/*.yaml", "a/b/c.yaml", False),
        ("a/**/*.yaml", "a/b.yaml", True),
        ("a/**/*.yaml", "a/b/c/d.yaml", True),
        ("**/x", "x", True),
        ("a/b.yaml", "a/b.yaml", True),
        ("a/b.yaml", "a/bxyaml", False),
    ],
)
async def test_globs(pattern: str, path: str, fits: bool) -> None:
    assert bool(await updates({pattern: glob()}, changed(path))) is fits


async def test_the_first_glob_that_fits_counts() -> None:
    """In the order of the configuration, though the second is narrower, and though the first is denied."""
    first, second = glob("first"), glob("second")
    assert (await only({"**/*.yaml": first, "a/b.yaml": second}, changed("a/b.yaml"))).name == "first"
    assert (await only({"a/b.yaml": second, "**/*.yaml": first}, changed("a/b.yaml"))).name == "second"
    denied = glob("first", denied_repos=("o/r",))
    assert await updates({"**/*.yaml": denied, "a/b.yaml": second}, changed("a/b.yaml")) == {}


@pytest.mark.parametrize(
    ("allowed", "denied", "may"),
    [
        ((), (), True),
        (("o",), (), True),
        (("o/r",), (), True),
        (("o/other", "p"), (), False),
        ((), ("o",), False),
        ((), ("o/r",), False),
        ((), ("o/other",), True),
        (("o/r",), ("o",), False),
        (("o",), ("o/r",), False),
    ],
)
async def test_who_may_write(allowed: tuple[str, ...], denied: tuple[str, ...], may: bool) -> None:
    spec = glob(allowed_repos=allowed, denied_repos=denied)
    assert bool(await updates({"a": spec}, changed("a"))) is may
    assert bool(await updates({"a": spec}, changed("a", "removed"))) is may


async def test_who_is_kept_out_is_told() -> None:
    """Else nobody could say why a file that a glob finds goes nowhere."""
    maps = {"a": glob(denied_repos=("o",)), "b": glob("other", allowed_repos=("p",)), "c": glob("third")}
    kept_out = "2 files would go into one, but allowed_repos or denied_repos keep o/r out"
    for files in ("a", "b", "docs"), ("a", "b", "c"):
        facts = await facts_of(maps, *map(changed, files))
        assert facts is not None
        assert config_updater.decide(facts).why.endswith(f"; {kept_out}")
    facts = await facts_of(maps, changed("c"), changed("docs"))
    assert facts is not None
    assert "keep" not in config_updater.decide(facts).why


async def test_keys() -> None:
    """A key that is named, the file's name, its whole path."""
    assert "k" in (await only({"a/b": glob(key="k")}, changed("a/b"))).data
    assert "b" in (await only({"a/b": glob()}, changed("a/b"))).data
    assert "a-c-b" in (await only({"a/**/b": glob(use_full_path_as_key=True)}, changed("a/c/b"))).data


async def test_keys_shared_out_by_their_digest() -> None:
    names = tuple(f"part-{number}" for number in range(3))
    found = await updates(
        {"jobs/*": ConfigMapSpec(partitioned_names=names, clusters=HERE)}, *(changed(f"jobs/{n}") for n in range(20))
    )
    for number in range(20):
        expected = names[hashlib.sha256(str(number).encode()).digest()[0] % 3]
        assert [where[2] for where, update in found.items() if str(number) in update.data] == [expected]
    assert {update.data["VERSION"] for update in found.values()} == {SHA}


async def test_every_cluster_and_namespace() -> None:
    found = await updates({"a": glob(clusters={"default": ("", "two"), "arm": ("x",)})}, changed("a"))
    assert list(found) == [("default", "prow", "config"), ("default", "two", "config"), ("arm", "x", "config")]


@pytest.mark.parametrize(("own", "common", "packed"), [(None, True, True), (None, False, False), (True, False, True)])
async def test_packing(own: bool | None, common: bool, packed: bool) -> None:
    update = await only({"a": glob(gzip=own)}, changed("a"), packs=common)
    if packed:
        assert gzip.decompress(update.binary_data["a"]) == b"a"
    assert ("a" in update.data) is not packed
    assert (await only({"a": glob(gzip=own)}, changed("a"), packs=common)) == update, "the same bytes each time"


async def test_its_own_word_overrules_the_common_one() -> None:
    assert (await only({"a": glob(gzip=False)}, changed("a"), packs=True)).data["a"] == "a"


async def test_what_is_no_text() -> None:
    update = await only({"a": glob()}, changed("a"), contents={"a": b"\xff\x00"})
    assert update.binary_data == {"a": b"\xff\x00"}
    assert update.data == {"VERSION": SHA}


async def test_removed_and_renamed() -> None:
    """The key goes; what another file sets meanwhile stays; a file that leaves all globs leaves its ConfigMap."""
    maps = {"a/**/*": glob(), "b/*": glob("other")}
    assert (await only(maps, changed("a/x", "removed"))).removed == ("x",)
    renamed = await only(maps, changed("a/y", "renamed", "a/x"))
    assert (renamed.removed, renamed.data["y"]) == (("x",), "a/y")
    moved = await only(maps, changed("a/sub/x", "renamed", "a/x"))
    assert (moved.removed, moved.data["x"]) == ((), "a/sub/x")
    swapped = await only(maps, changed("a/new/x", "added"), changed("a/old/x", "removed"))
    assert (swapped.removed, swapped.data["x"]) == ((), "a/new/x")
    assert (await only(maps, changed("docs/x", "renamed", "a/x"))).removed == ("x",)
    across = await updates(maps, changed("b/x", "renamed", "a/x"))
    assert across["default", "prow", "config"].removed == ("x",)
    assert across["default", "prow", "other"].data["x"] == "b/x"


async def test_a_named_key_survives_a_rename() -> None:
    update = await only({"a/*": glob(key="k")}, changed("a/y", "renamed", "a/x"))
    assert (update.removed, update.data["k"]) == ((), "a/y")


async def test_every_update_says_when_it_was_merged() -> None:
    """By GitHub's clock, then by how much it stands on; removals as well. A merge without a time has no order."""
    maps, world = {"a/*": glob(), "b/*": glob("other")}, World()
    found = await updates(maps, changed("a/x"), changed("b/y", "removed"), world=world)
    assert {update.order for update in found.values()} == {"2026-01-01T00:00:00Z 000000012"}
    assert world.asked == ["files", "find c", "read c", "depth c"]
    assert (await only(maps, changed("a/x", "removed"))).order == "2026-01-01T00:00:00Z 000000012"
    facts = await config_updater.gather(
        parts.reads(
            World(files=(changed("a/x"),), tree={"a/x": b""}), PluginConfig(config_updater=ConfigUpdater(maps=maps))
        ),
        merged(merged_at=None),
        samples.GUID,
    )
    assert isinstance(facts, config_updater.Facts)
    assert facts.order == ""


async def test_a_removal_does_not_wait_for_git() -> None:
    """It needs none of git's files: among merges of one second it then counts as the first. What is read waits."""
    away = World(git_trouble=Retry("git is away"))
    found = await updates({"a/*": glob()}, changed("a/x", "removed"), world=away)
    assert [update.order for update in found.values()] == ["2026-01-01T00:00:00Z 000000000"]
    with pytest.raises(Retry):
        await updates({"a/*": glob()}, changed("a/x"), world=away)


async def test_links_are_not_followed() -> None:
    """The commit holds no plain file of the name: its key is let be."""
    facts = await facts_of({"*": glob()}, changed("a"))
    assert facts is not None
    assert config_updater.decide(msgspec.structs.replace(facts, contents={})).actions == ()


async def test_too_much_for_one_pull_request() -> None:
    spec = glob(clusters={"default": tuple(f"n{number}" for number in range(40))})
    facts = await facts_of({"a": spec}, changed("a"), contents={"a": b"x" * (1 << 19)})
    assert facts is not None
    with pytest.raises(Refused, match="at most"):
        config_updater.decide(facts)


async def told(*outcomes: Any) -> str | None:
    maps = {"a/*": glob(), "b/*": glob("other", clusters={"arm": ("x",)})}
    facts = await facts_of(maps, changed("a/1"), changed("a/2"), changed("b/3"), changed("b/4", "removed"))
    assert facts is not None
    decision = config_updater.decide(facts)
    recorded = msgspec.json.decode(msgspec.json.encode(decision), type=Decision)
    reaction = config_updater.after(recorded, outcomes)
    if reaction is None:
        return None
    (comment,) = reaction.actions
    assert isinstance(comment, CreateComment)
    assert (comment.org, comment.repo, comment.number) == ("o", "r", 5)
    return comment.body.partition("<details>")[0].rstrip()


async def test_what_was_updated_is_told() -> None:
    author = samples.pull_request().user.login
    assert await told("done", "refused") == (
        f"@{author}: Updated the `config` configmap in namespace `prow` at cluster `default`:\n"
        " - key `1` using file `a/1`\n - key `2` using file `a/2`"
    )
    assert await told("done", "done") == (
        f"@{author}: Updated 2 configmaps:\n\n"
        " * `config` configmap in namespace `prow` at cluster `default`:\n"
        "   - key `1` using file `a/1`\n   - key `2` using file `a/2`\n"
        " * `other` configmap in namespace `x` at cluster `arm`:\n   - key `3` using file `b/3`\n   - key `4` removed"
    )
    assert await told("refused", "refused") is None


async def test_a_list_that_no_comment_holds_is_cut_between_lines() -> None:
    facts = await facts_of({"a/*": glob()}, *(changed(f"a/{number:0100}") for number in range(1000)))
    assert facts is not None
    reaction = config_updater.after(config_updater.decide(facts), ("done",))
    assert reaction is not None
    (comment,) = reaction.actions
    assert isinstance(comment, CreateComment)
    assert len(comment.body) < 65_536
    shown = comment.body.count(" - key ")
    assert shown > 100
    assert f"using file `a/{shown - 1:0100}`\n\n... and {1000 - shown} lines more." in comment.body
