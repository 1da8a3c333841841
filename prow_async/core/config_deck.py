"""Completes and checks deck's configuration. Source: upstream pkg/config/config.go."""

import msgspec

from prow_async.api.config_deck import Deck, Lens, LensFiles, RerunAuthEntry, Spyglass
from prow_async.api.prowjob import ObjectMeta, ProwJob, ProwJobSpec, ProwJobStatus, RerunAuthConfig
from prow_async.core.config_findings import Findings

_ANY_SCOPE = "*"
_SIZE_LIMIT = Spyglass().size_limit

EMPTY_PROWJOB = ProwJob(metadata=ObjectMeta(), spec=ProwJobSpec(type="periodic", job=""), status=ProwJobStatus())
"""What templates are tried on."""


def complete(deck: Deck, found: Findings) -> Deck:
    """Return deck's section with older forms turned into newer ones; what is wrong goes to `found`."""
    _check(deck, found)
    entries = deck.default_rerun_auth_configs
    if deck.rerun_auth_configs:
        entries = _as_entries(deck.rerun_auth_configs)
    return msgspec.structs.replace(
        deck,
        spyglass=_spyglass(deck.spyglass, found),
        rerun_auth_configs={},
        default_rerun_auth_configs=entries,
    )


def _as_entries(by_scope: dict[str, RerunAuthConfig]) -> tuple[RerunAuthEntry, ...]:
    """Turn the older map into entries, wider scopes first: of those that match the last one counts."""

    def width(scope: str) -> tuple[int, str]:
        return (0 if scope == "" else 1 if scope == _ANY_SCOPE else 3 if "/" in scope else 2, scope)

    ordered = sorted(by_scope, key=width)
    return tuple(RerunAuthEntry(repo=scope, rerun_auth_configs=by_scope[scope]) for scope in ordered)


def _spyglass(spyglass: Spyglass, found: Findings) -> Spyglass:
    path = ("deck", "spyglass")
    if spyglass.size_limit < 0:
        found.wrong("must not be negative", *path, "size_limit")
    for number, files in enumerate(spyglass.lenses):
        for key, listed in (("required_files", files.required_files), ("optional_files", files.optional_files)):
            for place, text in enumerate(listed):
                found.pattern(text, *path, "lenses", number, key, place)
    for text in spyglass.viewers:
        found.pattern(text, *path, "viewers", text)
    tables = {}
    for key in ("gcs_browser_prefixes", "gcs_browser_prefixes_by_bucket"):
        table: dict[str, str] = getattr(spyglass, key)
        if spyglass.gcs_browser_prefix and _ANY_SCOPE in table:
            found.wrong("gcs_browser_prefix cannot be set beside the key '*'", *path, key, _ANY_SCOPE)
        tables[key] = {_ANY_SCOPE: spyglass.gcs_browser_prefix, **table}
    if spyglass.viewers:
        found.warn("is deprecated; use lenses", *path, "viewers")
    older = sorted((viewer, text) for text, viewers in spyglass.viewers.items() for viewer in viewers)
    lenses = tuple(LensFiles(required_files=(text,), lens=Lens(viewer)) for viewer, text in older)
    return msgspec.structs.replace(
        spyglass,
        lenses=(*spyglass.lenses, *lenses),
        viewers={},
        size_limit=spyglass.size_limit or _SIZE_LIMIT,
        **tables,
    )


def _check(deck: Deck, found: Findings) -> None:
    for number, logs in enumerate(deck.external_agent_logs):
        path = ("deck", "external_agent_logs", number)
        found.template(logs.url_template, *path, "url_template")
        found.selector(logs.selector, *path, "selector")
    names = "rerun_auth_configs and default_rerun_auth_configs"
    found.both(deck.rerun_auth_configs, deck.default_rerun_auth_configs, names, "deck", "rerun_auth_configs")
    for scope, auth in deck.rerun_auth_configs.items():
        _check_auth(auth, found, "deck", "rerun_auth_configs", scope)
    for number, entry in enumerate(deck.default_rerun_auth_configs):
        if entry.rerun_auth_configs is not None:
            _check_auth(entry.rerun_auth_configs, found, "deck", "default_rerun_auth_configs", number)
    if deck.additional_allowed_buckets and deck.skip_storage_path_validation is not False:
        text = "counts only with skip_storage_path_validation: false"
        found.wrong(text, "deck", "additional_allowed_buckets")


def _check_auth(auth: RerunAuthConfig, found: Findings, *path: str | int) -> None:
    listed = auth.github_users or auth.github_orgs or auth.github_team_ids or auth.github_team_slugs
    found.both(auth.allow_anyone, listed, "allow_anyone and a list of who may", *path)
