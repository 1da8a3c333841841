"""Merging of decoration defaults."""

from prow_async.api.config import DecorationEntry, ProwJobDefaultEntry
from prow_async.api.prowjob import (
    CensoringOptions,
    DecorationConfig,
    GCSConfiguration,
    ProwJobDefault,
    ResultStoreConfig,
    SchedulingOptions,
    SecretKey,
    UtilityImages,
    UtilityResources,
)
from prow_async.core import config_decoration
from prow_async.core.config_decoration import Defaults, filled


def test_own_values_win_and_the_default_fills() -> None:
    """Structs merge in turn, lists are whole, an explicit empty pointer stays, a secret reference is whole."""
    own = DecorationConfig(
        timeout="1h0m0s",
        gcs_credentials_secret="",
        ssh_key_secrets=("mine",),
        utility_images=UtilityImages(clonerefs="c2"),
        resources=UtilityResources(sidecar={"limits": {"cpu": "1"}}),
        gcs_configuration=GCSConfiguration(bucket="own", compress_file_types=()),
        oauth_token_secret=SecretKey("own"),
        skip_cloning=False,
        scheduling_options=SchedulingOptions(tolerations=({"key": "a"},)),
    )
    default = DecorationConfig(
        timeout="2h0m0s",
        grace_period="15s",
        gcs_credentials_secret="creds",
        ssh_key_secrets=("theirs",),
        ssh_host_fingerprints=("print",),
        utility_images=UtilityImages("c1", "i1", "e1", "s1"),
        resources=UtilityResources(sidecar={"limits": {"cpu": "2"}}, clonerefs={"limits": {"cpu": "3"}}),
        gcs_configuration=GCSConfiguration(bucket="b", path_strategy="single", compress_file_types=("txt",)),
        oauth_token_secret=SecretKey("theirs", "key"),
        skip_cloning=True,
        censoring_options=CensoringOptions(minimum_secret_length=3),
        scheduling_options=SchedulingOptions(affinity={"x": 1}, tolerations=({"key": "b"},)),
        github_app_id="7",
    )
    assert filled(own, default) == DecorationConfig(
        timeout="1h0m0s",
        grace_period="15s",
        gcs_credentials_secret="",
        ssh_key_secrets=("mine",),
        ssh_host_fingerprints=("print",),
        utility_images=UtilityImages("c2", "i1", "e1", "s1"),
        resources=UtilityResources(sidecar={"limits": {"cpu": "1"}}, clonerefs={"limits": {"cpu": "3"}}),
        gcs_configuration=GCSConfiguration(bucket="own", path_strategy="single", compress_file_types=()),
        oauth_token_secret=SecretKey("own"),
        skip_cloning=False,
        censoring_options=CensoringOptions(minimum_secret_length=3),
        scheduling_options=SchedulingOptions(affinity={"x": 1}, tolerations=({"key": "a"},)),
        github_app_id="7",
    )


def test_media_types_of_the_default_win() -> None:
    """As upstream has it; production relies on what it does, not on what it says."""
    own = GCSConfiguration(media_types={"log": "text/x", "own": "a/b"})
    default = GCSConfiguration(media_types={"log": "text/plain", "html": "text/html"})
    merged = filled(own, default)
    assert merged is not None
    assert merged.media_types == {"log": "text/plain", "own": "a/b", "html": "text/html"}


def test_nothing_to_fill_keeps_the_object() -> None:
    """Jobs without settings of their own share the default."""
    default = DecorationConfig(timeout="1h0m0s")
    assert filled(None, default) is default
    assert filled(default, None) is default
    assert filled(default, default) is default


def test_entries_match_by_repo_org_and_cluster() -> None:
    """Exact names only; "" and `*` match all; Gerrit's scheme and -review are looked through."""
    cases = [
        ("", "", "o/r", "c", True),
        ("*", "*", "o/r", "c", True),
        ("o/r", "", "o/r", "c", True),
        ("o", "", "o/r", "c", True),
        ("o/.*", "", "o/r", "c", False),
        ("o", "", "other/r", "c", False),
        ("", "c", "o/r", "d", False),
        ("foo.googlesource.com", "", "https://foo-review.googlesource.com/repo", "c", True),
        ("foo.googlesource.com/repo", "", "https://foo-review.googlesource.com/repo", "c", True),
        ("https://foo-review.googlesource.com/repo", "", "https://foo-review.googlesource.com/repo", "c", True),
    ]
    for repo, cluster, job_repo, job_cluster, expected in cases:
        entry = DecorationEntry(repo, cluster)
        assert config_decoration.matches(entry, job_repo, job_cluster) is expected, (repo, cluster, job_repo)


def test_later_entries_override_earlier_ones() -> None:
    """All matching entries count, merged field by field."""
    defaults = Defaults(
        [
            DecorationEntry(config=DecorationConfig(timeout="1h0m0s", gcs_credentials_secret="creds")),
            DecorationEntry("o/r", config=DecorationConfig(timeout="2h0m0s")),
            DecorationEntry("", "special", DecorationConfig(gcs_credentials_secret="")),
        ],
        [],
    )
    assert defaults.decoration("o/r", "default") == DecorationConfig(timeout="2h0m0s", gcs_credentials_secret="creds")
    assert defaults.decoration("x/y", "special") == DecorationConfig(timeout="1h0m0s", gcs_credentials_secret="")
    assert Defaults([], []).decoration("o/r", "default") is None


def test_the_older_map_form_orders_by_scope() -> None:
    """`*`, then orgs, then repos, so that the narrowest comes last and wins."""
    configs = {scope: DecorationConfig(timeout=scope) for scope in ("o/r", "*", "o")}
    assert [entry.repo for entry in config_decoration.as_entries(configs)] == ["*", "o", "o/r"]


def test_prowjob_defaults_always_have_a_tenant() -> None:
    """The fallback tenant fills in where nothing says otherwise."""
    entry = ProwJobDefaultEntry("o", config=ProwJobDefault(ResultStoreConfig("p")))
    own = ProwJobDefaultEntry("o/r", config=ProwJobDefault(tenant_id="t"))
    defaults = Defaults([], [entry, own])
    assert defaults.prowjob("o/r", "default") == ProwJobDefault(ResultStoreConfig("p"), "t")
    assert defaults.prowjob("o/q", "default") == ProwJobDefault(ResultStoreConfig("p"), "GlobalDefaultID")
    assert defaults.prowjob("x/y", "default") == ProwJobDefault(tenant_id="GlobalDefaultID")
