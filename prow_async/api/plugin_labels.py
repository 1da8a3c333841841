"""Sections of plugins.yaml about labels and comments.

Source: upstream pkg/plugins/config.go.
"""

import msgspec

from prow_async.api.plugin_scopes import Scoped


class AssignOnLabel(msgspec.Struct, frozen=True):
    label: str = ""


class RestrictedLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A label that only some may set; `assign_on` are labels on which the allowed users are assigned."""

    label: str = ""
    allowed_teams: tuple[str, ...] = ()
    """Slugs."""
    allowed_users: tuple[str, ...] = ()
    assign_on: tuple[AssignOnLabel, ...] = ()


class Label(msgspec.Struct, frozen=True):
    additional_labels: tuple[str, ...] = ()
    restricted_labels: dict[str, tuple[RestrictedLabel, ...]] = {}
    """By `*`, org and repo."""

    def restricted_for(self, org: str, repo: str) -> dict[str, RestrictedLabel]:
        """Return a repo's restricted labels by name in lower case: the repo's word over the org's over that of `*`."""
        return {
            entry.label.lower(): entry
            for scope in ("*", org, f"{org}/{repo}")
            for entry in self.restricted_labels.get(scope, ())
        }


class RequireMatchingLabel(msgspec.Struct, frozen=True, kw_only=True):
    """Which items must have a label that fits `regexp`, and the one they get while they have none."""

    org: str = ""
    repo: str = ""
    """Without its org; "" is every repo."""
    branch: str = ""
    prs: bool = False
    issues: bool = False
    regexp: str = ""
    missing_label: str = ""
    missing_comment: str = ""
    grace_period: str = "5s"

    grace_period_s: float = 5.0


class SigMention(msgspec.Struct, frozen=True):
    regexp: str = (
        r"(?m)@kubernetes/sig-([\w-]*)-"
        r"(misc|test-failures|bugs|feature-requests|proposals|pr-reviews|api-reviews)"
    )


class Size(msgspec.Struct, frozen=True):
    """Lower bounds in changed lines. 0 leaves a bound as it is by default."""

    s: int = 0
    m: int = 0
    l: int = 0  # noqa: E741 (the key's name)
    xl: int = 0
    xxl: int = 0

    def bounds(self) -> tuple[int, int, int, int, int]:
        """Return the bounds of S, M, L, XL and XXL in force."""
        return self.s or 10, self.m or 30, self.l or 100, self.xl or 500, self.xxl or 1000


class Help(msgspec.Struct, frozen=True):
    help_guidelines_url: str = "https://git.k8s.io/community/contributors/guide/help-wanted.md"
    help_guidelines_summary: str = ""


class ReleaseNote(msgspec.Struct, frozen=True):
    guidelines_url: str = ""


class CommitMsgCheck(msgspec.Struct, frozen=True):
    """A check by its name: one of COMMIT_MSG_CHECKS."""

    name: str = ""
    disabled: bool = False


COMMIT_MSG_CHECKS = frozenset({"fixupPrefix", "issueClosingKeywords"})


class InvalidCommitMsg(Scoped, frozen=True, kw_only=True):
    checks: tuple[CommitMsgCheck, ...] = ()

    def is_disabled(self, name: str) -> bool:
        """Say whether a check is turned off; one that is not listed is on."""
        return any(check.name == name and check.disabled for check in self.checks)


class Welcome(Scoped, frozen=True, kw_only=True):
    message_template: str = ""
    """A Go template over .Org, .Repo, .AuthorLogin and .AuthorName."""
    always_post: bool = False


class Retitle(msgspec.Struct, frozen=True):
    allow_closed_issues: bool = False


class Heart(msgspec.Struct, frozen=True):
    adorees: tuple[str, ...] = ()
    comment_regexp: str = msgspec.field(default="", name="commentregexp")


class Cat(msgspec.Struct, frozen=True):
    key_path: str = ""


class Goose(msgspec.Struct, frozen=True):
    key_path: str = ""


class Golint(msgspec.Struct, frozen=True):
    minimum_confidence: float = 0.8


class Jira(msgspec.Struct, frozen=True):
    disabled_jira_projects: tuple[str, ...] = ()
    """Compared without case."""
