"""Reviews of pull requests, who is asked for one, and what a protected branch asks before a merge."""

from collections.abc import Sequence
from typing import Any

from prow_async.sandbox.github import payloads, shapes
from prow_async.sandbox.github.pulls import Pulls, pull_part
from prow_async.sandbox.github.records import IssueRecord, Repository, ReviewComment, ReviewRecord
from prow_async.sandbox.github.refusal import Refusal, invalid, missing

STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


class Reviews(Pulls):
    """Changes to reviews, each told to the hooks."""

    def review(
        self, repo: Repository, record: IssueRecord, event: str, body: str = "", *, by: str, now_s: float
    ) -> ReviewRecord:
        """Submit a review: `event` is APPROVE, REQUEST_CHANGES or COMMENT.

        Who was asked for it no longer is. Raises Refusal (422): an unknown event, one's own pull request, no body.
        """
        part = pull_part(record)
        if event not in STATES:
            raise Refusal(422, "Unprocessable Entity: event is not one of APPROVE, REQUEST_CHANGES, COMMENT")
        if event != "COMMENT" and by.lower() == record.author.lower():
            verb = "approve" if event == "APPROVE" else "request changes on"
            raise Refusal(422, f"Unprocessable Entity: Can not {verb} your own pull request")
        if event == "REQUEST_CHANGES" and not body.strip():
            raise Refusal(422, "Unprocessable Entity: a body is needed to request changes")
        login = self.add_user(by).login
        made = ReviewRecord(self.next_id(), login, body, STATES[event], part.head_sha, now_s)
        part.reviews.append(made)
        part.requested = [name for name in part.requested if name.lower() != by.lower()]
        record.updated_s = now_s
        self._tell_review(repo, record, made, ("submitted", login), now_s)
        return made

    def dismiss_review(
        self, repo: Repository, record: IssueRecord, review_id: int, *, by: str, now_s: float
    ) -> ReviewRecord:
        """Dismiss an approving or refusing review. Raises Refusal: 404, 422 for a mere comment."""
        found = self.find_review(record, review_id)
        if found.state not in ("APPROVED", "CHANGES_REQUESTED"):
            raise Refusal(422, "Can not dismiss a commented pull request review")
        found.state = "DISMISSED"
        self._tell_review(repo, record, found, ("dismissed", by), now_s)
        return found

    def edit_review(
        self, repo: Repository, record: IssueRecord, review_id: int, body: str, *, by: str, now_s: float
    ) -> ReviewRecord:
        """Change a review's text. Raises Refusal (404), also for somebody else's."""
        found = self.find_review(record, review_id)
        if found.author.lower() != by.lower():
            raise missing()
        found.body = body
        self._tell_review(repo, record, found, ("edited", by), now_s)
        return found

    def find_review(self, record: IssueRecord, review_id: int) -> ReviewRecord:
        """Find a review of a pull request. Raises Refusal (404)."""
        for found in pull_part(record).reviews:
            if found.id == review_id:
                return found
        raise missing()

    def comment_on_line(
        self, repo: Repository, record: IssueRecord, said: ReviewComment, *, by: str, now_s: float
    ) -> ReviewComment:
        """Add a comment on a line of the difference. Raises Refusal (422) for an empty text."""
        if not said.body.strip():
            raise invalid("PullRequestReviewComment", "body", "missing_field")
        pull_part(record).review_comments.append(said)
        record.updated_s = now_s
        self.tell(
            repo,
            "pull_request_review_comment",
            lambda: payloads.review_comment(self, repo, record, said, by),
            now_s,
        )
        return said

    def request_reviews(
        self,
        repo: Repository,
        record: IssueRecord,
        people: Sequence[str],
        teams: Sequence[str] = (),
        *,
        by: str,
        now_s: float,
    ) -> None:
        """Ask people and teams for a review. Raises Refusal (422) when one of them cannot be asked; nobody is then."""
        part = pull_part(record)
        if any(login.lower() == record.author.lower() for login in people):
            raise Refusal(422, "Review cannot be requested from pull request author.")
        for login in people:
            if login.lower() not in self.accounts or self.permission(repo, login) is None:
                text = "Reviews may only be requested from collaborators. "
                raise Refusal(422, f"{text}One or more of the users or teams you specified is not a collaborator.")
        owner = self.org(repo.org)
        if any(slug not in owner.teams for slug in teams):
            raise Refusal(422, "Could not resolve to a node with the global id of a team.")
        for login in people:
            spelled = self.account(login).login
            if spelled not in part.requested:
                part.requested.append(spelled)
                asked = {"requested_reviewer": shapes.user(self, spelled)}
                self.changed(repo, record, "review_requested", by, now_s, asked)
        for slug in teams:
            if slug not in part.requested_teams:
                part.requested_teams.append(slug)
                asked = {"requested_team": shapes.team(self, repo.org, owner.teams[slug])}
                self.changed(repo, record, "review_requested", by, now_s, asked)

    def unrequest_reviews(
        self, repo: Repository, record: IssueRecord, people: Sequence[str], teams: Sequence[str], by: str, now_s: float
    ) -> None:
        """Take back what was asked; who was not asked is passed over."""
        part = pull_part(record)
        lowered = {login.lower() for login in people}
        for spelled in [name for name in part.requested if name.lower() in lowered]:
            part.requested.remove(spelled)
            gone = {"requested_reviewer": shapes.user(self, spelled)}
            self.changed(repo, record, "review_request_removed", by, now_s, gone)
        for slug in [name for name in part.requested_teams if name in teams]:
            part.requested_teams.remove(slug)
            gone = {"requested_team": shapes.team(self, repo.org, self.org(repo.org).teams[slug])}
            self.changed(repo, record, "review_request_removed", by, now_s, gone)

    def opinions(self, repo: Repository, record: IssueRecord) -> dict[str, str]:
        """Return the last word of everybody who may push: login -> APPROVED or CHANGES_REQUESTED."""
        found: dict[str, str] = {}
        for review in pull_part(record).reviews:
            if review.state in ("APPROVED", "CHANGES_REQUESTED") and self.may_push(repo, review.author):
                found[review.author] = review.state
            elif review.state == "DISMISSED":
                found.pop(review.author, None)
        return found

    def review_decision(self, repo: Repository, record: IssueRecord) -> str | None:
        """Return APPROVED, CHANGES_REQUESTED or REVIEW_REQUIRED; None where the base branch asks for no review."""
        opinions = list(self.opinions(repo, record).values())
        needed = self.approvals_needed(repo, pull_part(record).base_ref)
        if "CHANGES_REQUESTED" in opinions:
            return "CHANGES_REQUESTED"
        if needed:
            return "APPROVED" if opinions.count("APPROVED") >= needed else "REVIEW_REQUIRED"
        return "APPROVED" if opinions else None

    def approvals_needed(self, repo: Repository, branch: str) -> int:
        """Say how many approvals a branch's protection asks for."""
        asked = repo.protections.get(branch, {}).get("required_pull_request_reviews") or {}
        return int(asked.get("required_approving_review_count", 1)) if asked else 0

    def blocked_by(self, repo: Repository, record: IssueRecord) -> str:
        """Say in GitHub's words what the base branch's protection still asks for; empty when nothing."""
        part = pull_part(record)
        protection = repo.protections.get(part.base_ref)
        if protection is None:
            return ""
        lacking = self.lacking_check(repo, protection, part.head_sha)
        if lacking:
            return f'Required status check "{lacking}" is expected.'
        if protection.get("required_pull_request_reviews"):
            decision = self.review_decision(repo, record)
            if decision == "REVIEW_REQUIRED":
                needed = self.approvals_needed(repo, part.base_ref)
                return f"At least {needed} approving review is required by reviewers with write access."
            if decision == "CHANGES_REQUESTED":
                return "Changes have been requested on this pull request."
        return ""

    def lacking_check(self, repo: Repository, protection: dict[str, Any], sha: str) -> str:
        """Return the first required check that a commit has not passed; empty when it has passed all."""
        newest = {r.context: r.state for r in repo.statuses.get(sha, ())}
        passed = {context for context, state in newest.items() if state == "success"}
        passed |= {
            run.name for run in repo.check_runs.get(sha, ()) if run.conclusion in ("success", "neutral", "skipped")
        }
        asked = (protection.get("required_status_checks") or {}).get("contexts") or ()
        return next((context for context in asked if context not in passed), "")

    def ready_heads(self, repo: Repository, branch: str) -> list[str]:
        """Return the heads of the open pull requests that a branch's protection would let in."""
        pulls = [record for record in repo.issues.values() if record.pull is not None and record.state == "open"]
        onto = [record for record in pulls if pull_part(record).base_ref == branch]
        return [pull_part(record).head_sha for record in onto if not self.blocked_by(repo, record)]

    def check_protection(self, repo: Repository, record: IssueRecord, by: str) -> None:
        """Refuse (405) a merge that the base branch's protection does not allow; administrators may where it lets them.

        Source: docs.github.com, about protected branches.
        """
        protection = repo.protections.get(pull_part(record).base_ref) or {}
        why = self.blocked_by(repo, record)
        if why and (protection.get("enforce_admins") or self.permission(repo, by) != "admin"):
            raise Refusal(405, why)

    def _tell_review(
        self, repo: Repository, record: IssueRecord, review: ReviewRecord, what: tuple[str, str], now_s: float
    ) -> None:
        self.tell(repo, "pull_request_review", lambda: payloads.review(self, repo, record, review, what), now_s)
