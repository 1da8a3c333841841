"""Gerrit's configuration. Source: upstream pkg/config/config.go."""

import msgspec


class GerritFilters(msgspec.Struct, frozen=True):
    branches: tuple[str, ...] = ()
    excluded_branches: tuple[str, ...] = ()
    opt_in_by_default: bool = False


class GerritQueries(msgspec.Struct, frozen=True):
    """The repos of one instance; `org` is its URL."""

    org: str = ""
    repos: tuple[str, ...] = ()
    opt_out_help: bool = False
    filters: GerritFilters | None = None


class Gerrit(msgspec.Struct, frozen=True, kw_only=True):
    tick_interval: str = "1m"
    ratelimit: int = 5
    deck_url: str = ""
    org_repos_config: tuple[GerritQueries, ...] = ()
    allowed_presubmit_trigger_re: str = ""

    tick_interval_s: float = 60.0
