"""The section `bugzilla` of plugins.yaml. core/bugzilla_options says what holds for a branch.

Source: upstream pkg/plugins/config.go.
"""

import msgspec


class BugState(msgspec.Struct, frozen=True, order=True):
    """What a bug may be in, or is put into. "" is any, or leaves it as it is."""

    status: str = ""
    resolution: str = ""


class BugzillaBranch(msgspec.Struct, frozen=True, kw_only=True):
    """Options for a branch; None inherits. A `status` or `statuses` is the older form of the state beside it."""

    exclude_defaults: bool | None = None
    """Inherit nothing."""
    enable_backporting: bool | None = None
    validate_by_default: bool | None = None
    is_open: bool | None = None
    target_release: str | None = None
    statuses: tuple[str, ...] | None = None
    valid_states: tuple[BugState, ...] | None = None
    dependent_bug_statuses: tuple[str, ...] | None = None
    dependent_bug_states: tuple[BugState, ...] | None = None
    dependent_bug_target_releases: tuple[str, ...] | None = None
    dependent_bug_target_release: str | None = None
    """Deprecated: one more of dependent_bug_target_releases."""
    status_after_validation: str | None = None
    state_after_validation: BugState | None = None
    add_external_link: bool | None = None
    status_after_merge: str | None = None
    state_after_merge: BugState | None = None
    state_after_close: BugState | None = None
    allowed_groups: tuple[str, ...] = ()
    """Of all levels together."""


class BugzillaRepo(msgspec.Struct, frozen=True):
    branches: dict[str, BugzillaBranch] = {}


class BugzillaOrg(msgspec.Struct, frozen=True):
    default: dict[str, BugzillaBranch] | None = None
    repos: dict[str, BugzillaRepo] = {}


class Bugzilla(msgspec.Struct, frozen=True):
    """Options by branch, where `*` is every branch; None says nothing, {} that the level is taken."""

    default: dict[str, BugzillaBranch] | None = None
    orgs: dict[str, BugzillaOrg] = {}
