"""trigger: starts presubmits and postsubmits on what happens to pull requests, in comments and on branches.

Here are its help and its reads; the deciding half is in core/trigger, core/trigger_comment and core/trigger_push.

Source: upstream pkg/plugins/trigger.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec

from prow_async.api.actions import Decision
from prow_async.api.github import Comment, GenericComment, IssueCommentEvent, PullRequestEvent, PushEvent, Repo
from prow_async.core import commands, filters, replies, trigger, trigger_comment, trigger_jobs, trigger_push, trust
from prow_async.ports.plugin import Command, Event, Help, Plugin, Reads

Facts = trigger.PullFacts | trigger_comment.CommentFacts | trigger_push.PushFacts
T = TypeVar("T")
U = TypeVar("U")


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    """Read what the event's decision needs and no more; None when the event is none of trigger's business.

    Raises what the ports raise: Retry (ask again later), Refused and Missing (GitHub will not say).
    """
    match event:
        case PullRequestEvent():
            return await _gather_pull(reads, event, guid)
        case GenericComment():
            return await _gather_comment(reads, event, guid)
        case PushEvent():
            return _gather_push(reads, event, guid)
        case IssueCommentEvent():
            return None


def decide(facts: Facts) -> Decision:
    """Return what to do. Pure."""
    match facts:
        case trigger.PullFacts():
            return trigger.decide(facts)
        case trigger_comment.CommentFacts():
            return trigger_comment.decide(facts)
        case trigger_push.PushFacts():
            return trigger_push.decide(facts)


async def _gather_pull(reads: Reads, event: PullRequestEvent, guid: str) -> trigger.PullFacts | None:
    plan = trigger.plan_for(event)
    pr, number = event.pull_request, event.number or event.pull_request.number
    occasion = f"pull request {_full_name(event.repository)}#{number} {event.action} by {event.sender.login}"
    origin = _origin(reads, event.repository, guid, occasion)
    presubmits = reads.snapshot.config.presubmits.get(origin.full_repo, ())
    if plan is None or not presubmits:
        return None
    bot = await reads.github.bot_user()
    facts = trigger.PullFacts(origin=origin, event=event, plan=plan, presubmits=presubmits, bot_login=bot.login)

    async def author() -> trust.Verdict:
        return await _judge(reads, origin, pr.user.login, bot.login) if plan.asks_trust else facts.author

    async def unfinished() -> tuple[trigger.Unfinished, ...]:
        if not plan.abort:
            return ()
        found = await reads.unfinished_presubmits(origin.org, origin.repo.name, number)
        return tuple(trigger.Unfinished(job.namespace, job.name, job.job) for job in found)

    trusted, running = await _both(author, unfinished)
    facts = msgspec.structs.replace(facts, author=trusted, unfinished=running)
    if plan.asks_labels and not trusted.trusted:
        labels = await reads.github.labels(origin.org, origin.repo.name, number)
        facts = msgspec.structs.replace(facts, labels=labels)
    if trigger.refusal(facts) is not None:
        return facts
    wants = filters.wants_files(trigger.request(), presubmits, pr.base.ref)
    base_sha, files = await _both(
        lambda: reads.github.branch_sha(origin.org, origin.repo.name, pr.base.ref),
        lambda: _files(reads, origin, number, wants),
    )
    return msgspec.structs.replace(facts, base_sha=base_sha, files=files)


async def _gather_comment(reads: Reads, event: GenericComment, guid: str) -> trigger_comment.CommentFacts | None:
    occasion = f"comment by {event.user.login} on {_full_name(event.repo)}#{event.number}"
    origin = _origin(reads, event.repo, guid, occasion)
    presubmits = reads.snapshot.config.presubmits.get(origin.full_repo, ())
    if not trigger_comment.concerns(event, presubmits):
        return None
    bot = await reads.github.bot_user()
    if replies.wrote(event.user.login, bot.login):
        return None
    commenter, labels = await _both(
        lambda: _judge(reads, origin, event.user.login, bot.login),
        lambda: reads.github.labels(origin.org, origin.repo.name, event.number),
    )
    pull = commenter
    if not commenter.trusted:
        same = event.issue_author.login == event.user.login
        author = commenter if same else await _judge(reads, origin, event.issue_author.login, bot.login)
        pull = trust.judge_pull(author, labels)
    facts = trigger_comment.CommentFacts(
        origin=origin,
        comment=event,
        presubmits=presubmits,
        bot_login=bot.login,
        commenter=commenter,
        pull=pull,
        labels=labels,
    )
    if trigger_comment.course(facts) != "run":
        return facts
    return await _gather_run(reads, facts)


async def _gather_run(reads: Reads, facts: trigger_comment.CommentFacts) -> trigger_comment.CommentFacts:
    """Read what choosing jobs takes: the pull request; its statuses for a retest; its files if any job looks."""
    origin, number = facts.origin, facts.comment.number
    org, repo = origin.org, origin.repo.name
    pr = await reads.github.pull(org, repo, number)
    facts = msgspec.structs.replace(facts, pr=pr)
    if commands.wants_statuses(facts.comment.body):
        facts = msgspec.structs.replace(facts, statuses=await reads.github.combined_status(org, repo, pr.head.sha))
    wants = trigger_comment.wants_files(facts)

    async def comments() -> tuple[Comment, ...]:
        return await reads.github.comments(org, repo, number) if trigger_comment.wants_comments(facts) else ()

    base_sha, (files, old) = await _both(
        lambda: reads.github.branch_sha(org, repo, pr.base.ref),
        lambda: _both(lambda: _files(reads, origin, number, wants), comments),
    )
    return msgspec.structs.replace(facts, base_sha=base_sha, files=files, comments=old)


def _gather_push(reads: Reads, event: PushEvent, guid: str) -> trigger_push.PushFacts | None:
    occasion = f"push of {event.after} to {_full_name(event.repository)} {event.ref} by {event.sender.login}"
    origin = _origin(reads, event.repository, guid, occasion)
    postsubmits = reads.snapshot.config.postsubmits.get(origin.full_repo, ())
    if not postsubmits or not trigger_push.concerns(event):
        return None
    return trigger_push.PushFacts(origin=origin, event=event, postsubmits=postsubmits)


def _origin(reads: Reads, repo: Repo, guid: str, occasion: str) -> trigger_jobs.Origin:
    config = reads.snapshot.config
    return trigger_jobs.Origin(
        installation=reads.installation,
        guid=guid,
        repo=repo,
        settings=reads.snapshot.plugins.trigger_for(repo.owner.login or repo.owner.name, repo.name),
        namespace=config.prowjob_namespace,
        now_s=reads.clock.now(),
        link_url=config.github.link_url.rstrip("/"),
        occasion=occasion,
    )


def _full_name(repo: Repo) -> str:
    return f"{repo.owner.login or repo.owner.name}/{repo.name}"


async def _judge(reads: Reads, origin: trigger_jobs.Origin, login: str, bot_login: str) -> trust.Verdict:
    """Judge a person, asking about membership first: it settles most."""
    rules, github = origin.settings, reads.github
    named = trust.by_name(login, bot_login, rules)
    if named is not None:
        return named
    facts = trust.Facts(login=login, bot_login=bot_login, org=origin.org, repo=origin.repo.name)
    facts = msgspec.structs.replace(facts, member=await github.is_member(origin.org, login))
    if facts.member:
        return trust.judge_user(facts, rules)

    async def collaborator() -> bool:
        return not rules.only_org_members and await github.is_collaborator(origin.org, origin.repo.name, login)

    async def other_org() -> bool:
        return trust.asks_trusted_org(origin.org, rules) and await github.is_member(rules.trusted_org, login)

    helps, belongs = await _both(collaborator, other_org)
    return trust.judge_user(msgspec.structs.replace(facts, collaborator=helps, trusted_org_member=belongs), rules)


async def _files(reads: Reads, origin: trigger_jobs.Origin, number: int, wanted: bool) -> tuple[str, ...]:
    return await reads.github.changed_files(origin.org, origin.repo.name, number) if wanted else ()


async def _both(one: Callable[[], Awaitable[T]], other: Callable[[], Awaitable[U]]) -> tuple[T, U]:
    """Read two things side by side. The first error cancels the other read and is raised as it was."""
    answers: list[U] = []

    async def second() -> None:
        answers.append(await other())

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(second)
            first = await one()
    except ExceptionGroup as errors:  # a group that holds a cancellation is no ExceptionGroup: it goes on its way
        raise _first(errors) from None
    return first, answers[0]


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


HELP = Help(
    description="trigger starts the jobs of a repository: presubmits when a trusted person opens or changes a pull "
    "request or asks for them in a comment, postsubmits when a branch or tag is pushed.",
    commands=(
        Command(
            "/ok-to-test [cancel]",
            "Vouches for a pull request whose author is not trusted, and starts its jobs; `cancel` revokes that.",
            "Members of the trusted organizations, and collaborators unless they are left out.",
            ("/ok-to-test", "/ok-to-test cancel"),
        ),
        Command(
            "/test [<job>|all|?]",
            "Starts the jobs named, or all that start by themselves; `?` lists what can be started.",
            "Anyone on a trusted pull request; trusted people on every one.",
            ("/test all", "/test unit", "/test ?"),
            featured=True,
        ),
        Command(
            "/retest",
            "Starts again what failed, and what should have run and has not.",
            "Anyone on a trusted pull request; trusted people on every one.",
            ("/retest",),
            featured=True,
        ),
        Command(
            "/retest-required",
            "The same for required jobs only.",
            "Anyone on a trusted pull request; trusted people on every one.",
            ("/retest-required",),
        ),
        Command(
            "/test-manual-required",
            "Starts every required job that starts only when asked for.",
            "Anyone on a trusted pull request; trusted people on every one.",
            ("/test-manual-required",),
        ),
    ),
)

PLUGIN = Plugin(
    name="trigger",
    help=HELP,
    events=frozenset({"pull_request", "generic_comment", "push"}),
    gather=gather,
    decide=decide,
)
