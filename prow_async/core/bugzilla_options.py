"""What the section `bugzilla` of plugins.yaml says of one branch.

Source: upstream pkg/plugins/config.go (OptionsForBranch, ResolveBugzillaOptions).
"""

from collections.abc import Mapping
from typing import TypeVar

from prow_async.api.plugin_bugzilla import BugState, Bugzilla, BugzillaBranch

T = TypeVar("T")
_ANY_BRANCH = "*"


def for_branch(section: Bugzilla, org: str, repo: str, branch: str) -> BugzillaBranch:
    """Return a branch's options: the default, the org's and the repo's, of each `*` and then the branch.

    Narrower words override; groups are united. Statuses come out as states.
    """
    options = _of_level(section.default or {}, branch)
    by_org = section.orgs.get(org)
    if by_org is None:
        return options
    options = resolve(options, _of_level(by_org.default or {}, branch))
    by_repo = by_org.repos.get(repo)
    return options if by_repo is None else resolve(options, _of_level(by_repo.branches, branch))


def _of_level(table: Mapping[str, BugzillaBranch], branch: str) -> BugzillaBranch:
    nothing = BugzillaBranch()
    return resolve(table.get(_ANY_BRANCH, nothing), table.get(branch, nothing))


def resolve(parent: BugzillaBranch, child: BugzillaBranch) -> BugzillaBranch:
    """Return the child's options, and the parent's where the child says nothing.

    Upstream leaves enable_backporting out, and breaks down where it needs it.
    """
    if child.exclude_defaults:
        parent = BugzillaBranch()
    return BugzillaBranch(
        exclude_defaults=_own(parent.exclude_defaults, child.exclude_defaults),
        enable_backporting=_own(parent.enable_backporting, child.enable_backporting),
        validate_by_default=_own(parent.validate_by_default, child.validate_by_default),
        is_open=_own(parent.is_open, child.is_open),
        target_release=_own(parent.target_release, child.target_release),
        valid_states=_states(
            (parent.valid_states, parent.statuses),
            (child.valid_states, child.statuses),
        ),
        dependent_bug_states=_states(
            (parent.dependent_bug_states, parent.dependent_bug_statuses),
            (child.dependent_bug_states, child.dependent_bug_statuses),
        ),
        dependent_bug_target_releases=_own(_releases(parent), _releases(child)),
        state_after_validation=_own(
            _state(parent.state_after_validation, parent.status_after_validation),
            _state(child.state_after_validation, child.status_after_validation),
        ),
        add_external_link=_own(parent.add_external_link, child.add_external_link),
        state_after_merge=_own(
            _state(parent.state_after_merge, parent.status_after_merge),
            _state(child.state_after_merge, child.status_after_merge),
        ),
        state_after_close=_own(parent.state_after_close, child.state_after_close),
        allowed_groups=tuple(sorted({*parent.allowed_groups, *child.allowed_groups})),
    )


def _own(theirs: T | None, own: T | None) -> T | None:
    return theirs if own is None else own


_Told = tuple[tuple[BugState, ...] | None, tuple[str, ...] | None]


def _states(parent: _Told, child: _Told) -> tuple[BugState, ...] | None:
    """Return the states of whichever level speaks of them, its statuses among them."""
    states, statuses = parent if child == (None, None) else child
    if statuses is None:
        return states
    united = {*(states or ()), *(BugState(status) for status in statuses)}
    return tuple(sorted(united)) or None


def _state(state: BugState | None, status: str | None) -> BugState | None:
    return BugState(status) if state is None and status is not None else state


def _releases(options: BugzillaBranch) -> tuple[str, ...] | None:
    older, listed = options.dependent_bug_target_release, options.dependent_bug_target_releases
    if older is None:
        return listed
    return listed if listed and older in listed else (*(listed or ()), older)
