"""trigger: starts presubmits and postsubmits on what happens to pull requests, in comments and on branches.

Here are its help and its reads; the deciding half is in core/trigger, core/trigger_comment and core/trigger_push.

Source: upstream pkg/plugins/trigger.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
import anyio.lowlevel
import msgspec
import structlog

from prow_async.api.actions import Decision
from prow_async.api.errors import ConfigErrors, Refused, Retry
from prow_async.api.github import (
    Comment,
    GenericComment,
    PullRequest,
    PullRequestEvent,
    PushEvent,
    Repo,
)
from prow_async.api.inrepo import NOT_ASKED, Answers, RepoJobs, Texts, Wanted
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import (
    commands,
    filters,
    inrepo,
    inrepo_patterns,
    newjob,
    replies,
    trigger,
    trigger_comment,
    trigger_explain,
    trigger_jobs,
    trigger_push,
    trust,
)
from prow_async.ports.plugin import Command, Event, Explains, Help, Plugin, Reads

log = structlog.get_logger()
Facts = trigger_explain.Facts
NOTE_CHARS = 2000
FILES_AT_ONCE = 2000
"""On so many files a pattern is tried in one go: it takes some milliseconds."""
NOT_OURS = "the repository's own jobs do not count"
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
            return await _gather_push(reads, event, guid)
        case _:
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
    if plan is None:
        return None
    builds = plan.build != "no"  # a pull request that starts nothing needs no look into it
    presubmits, note, base_sha = await _presubmits(reads, origin, pr if builds else None)
    if not presubmits and not note and not (_keeps_own(reads, origin) and not builds):
        return None
    bot = await reads.github.bot_user()
    facts = trigger.PullFacts(
        origin=origin, event=event, plan=plan, presubmits=presubmits, note=note, bot_login=bot.login
    )

    async def author() -> trust.Verdict:
        return await _judge(reads, origin, pr.user.login, bot.login) if plan.asks_trust else facts.author

    async def unfinished() -> tuple[tuple[trigger.Unfinished, ...], str]:
        late = builds and reads.late
        if not (plan.abort or late):
            return (), ""
        running = await _unfinished(reads, origin, number, guid)
        overtaken = await _overtaken(reads, origin, event, running) if late else ""
        return running if plan.abort and not overtaken else (), overtaken

    trusted, (running, overtaken) = await both(author, unfinished)
    facts = msgspec.structs.replace(facts, author=trusted, unfinished=running, overtaken=overtaken)
    if trigger.wants_merged_count(facts):
        facts = msgspec.structs.replace(facts, merged_count=await _merged_count(reads, origin, pr.user.login))
    if trigger.wants_labels(facts):
        labels = await reads.github.labels(origin.org, origin.repo.name, number)
        facts = msgspec.structs.replace(facts, labels=labels)
    if trigger.refusal(facts) is not None:
        return facts
    wants = filters.wants_files(trigger.request(), presubmits, pr.base.ref)
    base_sha, files = await both(
        lambda: _base_sha(reads, origin, pr, base_sha), lambda: _files(reads, origin, number, wants)
    )
    answers, given_up = await _answers(reads, origin, presubmits, Texts(files=files))
    if given_up:
        facts = msgspec.structs.replace(facts, presubmits=_static(reads, origin).presubmits, note=given_up)
    return msgspec.structs.replace(facts, base_sha=base_sha, files=files, answers=answers)


async def _unfinished(
    reads: Reads, origin: trigger_jobs.Origin, number: int, guid: str
) -> tuple[trigger.Unfinished, ...]:
    """Return the jobs under way, but for those that this delivery itself has started, in another hook that got it."""
    found = await reads.unfinished_presubmits(origin.org, origin.repo.name, number)
    return tuple(
        trigger.Unfinished(job.namespace, job.name, job.job, job.sha, job.created_s)
        for job in found
        if job.guid != guid
    )


async def _overtaken(
    reads: Reads, origin: trigger_jobs.Origin, event: PullRequestEvent, running: tuple[trigger.Unfinished, ...]
) -> str:
    """Return the newest head where an event came behind that one's; "" where it did not, or GitHub does not tell."""
    newer = trigger.newer_heads(event, running)
    if not newer:
        return ""
    try:
        pull = await reads.github.pull(origin.org, origin.repo.name, event.number or event.pull_request.number)
    except Refused:
        return ""
    return pull.head.sha if pull.head.sha in newer else ""


async def _merged_count(reads: Reads, origin: trigger_jobs.Origin, author: str) -> int:
    """Count the author's merged pull requests in the organization. A search that fails costs only the invitation."""
    try:
        return await reads.github.count_issues(origin.org, f"type:pr is:merged org:{origin.org} author:{author}")
    except (Retry, Refused) as error:
        log.warning("merged pull requests not counted", author=author, org=origin.org, why=str(error))
        return 0


async def _gather_comment(reads: Reads, event: GenericComment, guid: str) -> trigger_comment.CommentFacts | None:
    occasion = f"comment by {event.user.login} on {_full_name(event.repo)}#{event.number}"
    origin = _origin(reads, event.repo, guid, occasion)
    if not trigger_comment.is_due(event):
        return None
    pr = None
    if _keeps_own(reads, origin):
        if replies.wrote(event.user.login, (await reads.github.bot_user()).login):
            return None
        pr = await reads.github.pull(origin.org, origin.repo.name, event.number)
    presubmits, note, base_sha = await _presubmits(reads, origin, pr)
    answers, given_up = await _answers(reads, origin, presubmits, Texts(visible=trigger_comment.visible(event)))
    if given_up:
        presubmits, note = _static(reads, origin).presubmits, given_up
    if not trigger_comment.concerns(event, presubmits, answers):
        return None
    bot = await reads.github.bot_user()
    if replies.wrote(event.user.login, bot.login):
        return None
    commenter, labels = await both(
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
        pr=pr,
        base_sha=base_sha,
        note=note,
        answers=answers,
    )
    if trigger_comment.course(facts) != "run":
        return facts
    return await _gather_run(reads, facts)


async def _gather_run(reads: Reads, facts: trigger_comment.CommentFacts) -> trigger_comment.CommentFacts:
    """Read what choosing jobs takes: the pull request; its statuses for a retest; its files if any job looks."""
    origin, number = facts.origin, facts.comment.number
    facts = await _tried(reads, facts, Texts(body=facts.comment.body))
    org, repo = origin.org, origin.repo.name
    pr = facts.pr or await reads.github.pull(org, repo, number)
    facts = msgspec.structs.replace(facts, pr=pr)
    if commands.wants_statuses(facts.comment.body):
        facts = msgspec.structs.replace(facts, statuses=await reads.github.combined_status(org, repo, pr.head.sha))
    if trigger_comment.wants_approval(facts):
        waiting = await reads.github.workflow_runs(org, repo, pr.head.sha, "action_required")
        facts = msgspec.structs.replace(facts, waiting_runs=waiting)
    wants = trigger_comment.wants_files(facts)

    async def comments() -> tuple[Comment, ...]:
        return await reads.github.comments(org, repo, number) if trigger_comment.wants_comments(facts) else ()

    base_sha, (files, old) = await both(
        lambda: _base_sha(reads, origin, pr, facts.base_sha),
        lambda: both(lambda: _files(reads, origin, number, wants), comments),
    )
    facts = msgspec.structs.replace(facts, base_sha=base_sha, files=files, comments=old)
    facts = await _tried(reads, facts, Texts(files=files))
    if not trigger_comment.wants_rerun(facts):
        return facts
    failed = await reads.github.workflow_runs(org, repo, pr.head.sha, "failure")
    return msgspec.structs.replace(facts, failed_runs=failed)


async def _tried(reads: Reads, facts: trigger_comment.CommentFacts, texts: Texts) -> trigger_comment.CommentFacts:
    """Try the own jobs' patterns on more of what a comment brings; without these jobs where that takes too long."""
    found, given_up = await _answers(reads, facts.origin, facts.presubmits, texts)
    if given_up:
        own = _static(reads, facts.origin).presubmits
        return msgspec.structs.replace(facts, presubmits=own, note=given_up, answers=NOT_ASKED)
    return msgspec.structs.replace(facts, answers=inrepo_patterns.joined(facts.answers, found))


async def _gather_push(reads: Reads, event: PushEvent, guid: str) -> trigger_push.PushFacts | None:
    occasion = f"push of {event.after} to {_full_name(event.repository)} {event.ref} by {event.sender.login}"
    origin = _origin(reads, event.repository, guid, occasion)
    if not trigger_push.concerns(event):
        return None
    jobs, note = await _jobs(reads, origin, event.after, ())
    if not jobs.postsubmits and not note:
        return None
    facts = trigger_push.PushFacts(origin=origin, event=event, postsubmits=jobs.postsubmits, note=note)
    texts = Texts(files=trigger_push.changed_files(event))
    answers, given_up = await _answers(reads, origin, jobs.postsubmits, texts)
    if given_up:
        return msgspec.structs.replace(facts, postsubmits=_static(reads, origin).postsubmits, note=given_up)
    allowed = [job for job in jobs.postsubmits if filters.branch_allows(job, event.branch)]
    return msgspec.structs.replace(facts, answers=await _in_turns(allowed, texts.files, answers))


async def _in_turns(jobs: Sequence[Postsubmit], files: tuple[str, ...], known: Answers) -> Answers:
    """Try patterns on the files of a large push, which may be a hundred thousand, and let others have their turn."""
    if len(files) <= FILES_AT_ONCE:
        return known
    runs, skips = dict(known.runs), dict(known.skips)
    for job in jobs:
        found, pattern = (runs, job.run_if_changed) if job.run_if_changed else (skips, job.skip_if_only_changed)
        if not pattern or pattern in found:
            continue
        found[pattern] = False
        for first in range(0, len(files), FILES_AT_ONCE):
            await anyio.lowlevel.checkpoint()
            if filters.changes_ask(job, files[first : first + FILES_AT_ONCE]):
                found[pattern] = True
                break
    return msgspec.structs.replace(known, runs=runs, skips=skips)


def _keeps_own(reads: Reads, origin: trigger_jobs.Origin) -> bool:
    """Say whether the repository's own configuration counts."""
    section = reads.snapshot.config.in_repo_config
    return reads.inrepo is not None and section.is_enabled(origin.org, origin.repo.name)


async def _presubmits(
    reads: Reads, origin: trigger_jobs.Origin, pr: PullRequest | None
) -> tuple[tuple[Presubmit, ...], str, str]:
    """Return the presubmits of a pull request, why its repository's own do not count, and the base's commit.

    The static ones alone, and no commit, where there are no others, or `pr` is None.
    """
    if pr is None or not _keeps_own(reads, origin):
        return inrepo.static(reads.snapshot.config, origin.full_repo).presubmits, "", ""
    base_sha = await reads.github.branch_sha(origin.org, origin.repo.name, pr.base.ref)
    jobs, note = await _jobs(reads, origin, base_sha, (pr.head.sha,))
    return jobs.presubmits, note, base_sha


async def _jobs(
    reads: Reads, origin: trigger_jobs.Origin, base_sha: str, heads: tuple[str, ...]
) -> tuple[RepoJobs, str]:
    """Return the jobs of a repository in a certain state; the static ones, and why, where its own are of no use."""
    config, full = reads.snapshot.config, origin.full_repo
    if reads.inrepo is None or not _keeps_own(reads, origin):
        return inrepo.static(config, full), ""
    wanted = Wanted(org=origin.org, repo=origin.repo.name, base_sha=base_sha, heads=heads)
    try:
        return await reads.inrepo.jobs(config, wanted), ""
    except (ConfigErrors, Refused) as error:
        return inrepo.static(config, full), f"{NOT_OURS}: {error}"[:NOTE_CHARS]


def _static(reads: Reads, origin: trigger_jobs.Origin) -> RepoJobs:
    return inrepo.static(reads.snapshot.config, origin.full_repo)


async def _answers(
    reads: Reads, origin: trigger_jobs.Origin, jobs: Sequence[Presubmit] | Sequence[Postsubmit], texts: Texts
) -> tuple[Answers, str]:
    """Return what patterns of the repository's own jobs say of texts, where trying them here might block others.

    And why these jobs do not count, where that takes too long: the caller goes on with the static ones, which need no
    answers.
    """
    if reads.inrepo is None or not _keeps_own(reads, origin):
        return NOT_ASKED, ""
    static = _static(reads, origin)
    known = {id(job) for job in (*static.presubmits, *static.postsubmits)}
    own = [job for job in jobs if id(job) not in known]
    if inrepo_patterns.steps(own, texts) <= inrepo_patterns.FEW_STEPS:
        return NOT_ASKED, ""
    try:
        return await reads.inrepo.answers(origin.org, origin.repo.name, own, texts), ""
    except Refused as error:
        return NOT_ASKED, f"{NOT_OURS}: {error}"[:NOTE_CHARS]


async def _base_sha(reads: Reads, origin: trigger_jobs.Origin, pr: PullRequest, known: str) -> str:
    return known or await reads.github.branch_sha(origin.org, origin.repo.name, pr.base.ref)


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
        explain_in_help=reads.explain_in_help,
        state=newjob.first_state(config),
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

    helps, belongs = await both(collaborator, other_org)
    return trust.judge_user(msgspec.structs.replace(facts, collaborator=helps, trusted_org_member=belongs), rules)


async def _files(reads: Reads, origin: trigger_jobs.Origin, number: int, wanted: bool) -> tuple[str, ...]:
    return await reads.github.changed_files(origin.org, origin.repo.name, number) if wanted else ()


async def both(one: Callable[[], Awaitable[T]], other: Callable[[], Awaitable[U]]) -> tuple[T, U]:
    """Read two things side by side. The first error cancels the other read and is raised as it was."""
    answers: list[U] = []

    async def second() -> None:
        answers.append(await other())

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(second)
            first = await one()
    except BaseExceptionGroup as errors:
        failed, cancelled = errors.split(Exception)
        if cancelled is not None:  # somebody ends us, and waits for no answer; an error beside that is of no use
            raise cancelled from None
        assert failed is not None
        raise _first(failed) from None
    return first, answers[0]


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def configured(config: PluginConfig, repos: Sequence[str]) -> dict[str, str]:
    """Say whom each repo trusts, and what comes with it."""
    return {full_name: _configured(config, full_name) for full_name in repos}


def _configured(config: PluginConfig, full_name: str) -> str:
    org, _, repo = full_name.partition("/")
    settings = config.trigger_for(org, repo)
    trusted = f"members of {org}" if settings.only_org_members else f"members of {org} and collaborators of {repo}"
    if settings.trusted_org and settings.trusted_org != org:
        trusted += f", members of {settings.trusted_org}"
    told = [f"Jobs start by themselves for {trusted}."]
    if settings.trusted_apps:
        told.append(f"These apps are trusted too: {', '.join(settings.trusted_apps)}.")
    if settings.ignore_ok_to_test:
        told.append("`/ok-to-test` has no effect: somebody trusted has to say `/test all`.")
    if settings.trigger_github_workflows:
        told.append("GitHub Actions are approved and started again along with the jobs.")
    return " ".join(told)


SNIPPET = """\
triggers:
- repos: [my-org, other-org/one-repo]
  trusted_apps: [dependabot]
  only_org_members: true
  ignore_ok_to_test: false
  trigger_github_workflows: true
"""

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
    config=configured,
    snippet=SNIPPET,
)

PLUGIN = Plugin(
    name="trigger",
    help=HELP,
    events=frozenset({"pull_request", "generic_comment", "push"}),
    gather=gather,
    decide=decide,
    explains=Explains(trigger_explain.keep, trigger_explain.answer),
)
