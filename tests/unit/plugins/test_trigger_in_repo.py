"""trigger where a repository keeps jobs of its own: which state is asked for, and what happens when it is no use."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from prow_async.api import actions
from prow_async.api.config import Config
from prow_async.api.config_sections import InRepoConfig
from prow_async.api.errors import ConfigErrors, Problem, ProwError, Refused, Retry
from prow_async.api.github import Commit, Label, PullRequestEvent, PushEvent, User
from prow_async.api.inrepo import Answers, PodPolicy, RepoJobs, Texts, Wanted
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.api.plugin_config import Trigger
from prow_async.core import inrepo, inrepo_patterns
from prow_async.core.config_load import SourceFile
from prow_async.plugins import trigger as plugin
from prow_async.ports.config import Snapshot
from prow_async.ports.plugin import Event, Reads
from tests.unit.core import samples
from tests.unit.plugins.test_trigger import MEMBER, UNIT, World, brief, check_explained, event, reads

pytestmark = pytest.mark.anyio

OWN = """
presubmits:
- {name: own, always_run: true, spec: {containers: [{image: i}]}}
- {name: odd, trigger: '^please', rerun_command: please, spec: {containers: [{image: i}]}}
postsubmits: [{name: post, spec: {containers: [{image: i}]}}]
"""


class Repository:
    """A repository whose files say the same in every state, or which cannot be read."""

    def __init__(self, files: str = OWN, error: ProwError | None = None, policy: PodPolicy | None = None) -> None:
        self.files = files
        self.policy = policy or PodPolicy()
        self.error = error
        self.asked: list[Wanted] = []
        self.tried: list[Texts] = []

    most_s = 5.0

    async def answers(self, org: str, repo: str, jobs: Sequence[Presubmit | Postsubmit], texts: Texts) -> Answers:
        """On a clock that goes on by a second with each pattern and text."""
        assert all(job.source.file == ".prow.yaml" for job in jobs), "static jobs are not asked about"
        self.tried.append(texts)
        return inrepo_patterns.ask(jobs, texts, map(float, itertools.count()).__next__, self.most_s)

    async def jobs(self, config: Config, wanted: Wanted) -> RepoJobs:
        self.asked.append(wanted)
        if self.error is not None:
            raise self.error
        files = [SourceFile(".prow.yaml", self.files.encode())]
        return inrepo.complete(inrepo.parse(wanted.full_name, files), config, self.policy)


def reading(world: World, repository: Repository, static: bool = True) -> Reads:
    section = InRepoConfig(enabled={"o": True}, allowed_clusters={"*": ("default",)})
    found = reads(world, Trigger(), (UNIT,) if static else ())
    config = msgspec.structs.replace(found.snapshot.config, in_repo_config=section)
    snapshot = Snapshot(config, found.snapshot.plugins, 0.0, "digest")
    return msgspec.structs.replace(found, snapshot=snapshot, inrepo=repository)


async def settle(
    of: Event, repository: Repository, static: bool = True, **world: Any
) -> tuple[list[str], str, list[str]]:
    place = World(**world)
    facts = await plugin.gather(reading(place, repository, static), of, samples.GUID)
    if facts is None:
        return [], "(not for trigger)", place.asked
    decision = plugin.decide(facts)
    return [brief(action) for action in decision.actions], decision.why, place.asked


def comment(body: str, by: str = "ben") -> Event:
    return msgspec.structs.replace(samples.comment(body), user=User(login=by))


async def test_a_pull_request_runs_its_own_jobs_as_merged() -> None:
    repository = Repository()
    done, _, asked = await settle(event("opened"), repository, **MEMBER)
    assert done == ["run unit", "run own"]
    assert repository.asked == [Wanted(org="o", repo="r", base_sha="b" * 40, heads=("5" * 40,))]
    assert asked.count("branch main") == 1


async def test_own_jobs_alone_are_enough() -> None:
    done, _, _ = await settle(event("opened"), Repository(), static=False, **MEMBER)
    assert done == ["run own"]
    assert (await settle(event("opened"), Repository(""), static=False))[1] == "(not for trigger)"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Refused("o/r: they conflict"), "they conflict"),
        (ConfigErrors([Problem(".prow.yaml", 7, "name is missing")]), ".prow.yaml:7: name is missing"),
    ],
)
async def test_where_they_are_of_no_use_the_static_ones_run_and_the_reason_is_told(error: ProwError, told: str) -> None:
    done, why, _ = await settle(event("opened"), Repository(error=error), **MEMBER)
    assert done == ["run unit"]
    assert "the repository's own jobs do not count: " in why
    assert told in why
    assert told in (await settle(event("opened"), Repository(error=error), static=False, **MEMBER))[1]
    done, why, _ = await settle(comment("/test all"), Repository(error=error))
    assert (done, told in why) == (["run unit"], True)


async def test_trouble_on_the_way_is_tried_again() -> None:
    with pytest.raises(Retry):
        await settle(event("opened"), Repository(error=Retry("connection refused")))


async def test_what_starts_nothing_is_not_looked_into() -> None:
    repository = Repository(error=Refused("never asked"))
    done, _, _ = await settle(event("closed"), repository)
    assert done == ["abort pj-1", "abort pj-2"]
    await settle(event("assigned"), repository)
    await settle(msgspec.structs.replace(comment("/test all"), action="deleted"), repository)
    await settle(comment("please", by="robot"), repository)
    assert repository.asked == []


async def test_comments_know_triggers_of_its_own() -> None:
    """The pull request and its base are read once."""
    done, _, asked = await settle(comment("please"), Repository())
    assert done == ["run odd"]
    assert (asked.count("pull"), asked.count("branch main")) == (1, 1)
    assert (await settle(comment("thanks"), Repository()))[1] == "(not for trigger)"
    done, _, _ = await settle(comment("/test own"), Repository())
    assert done == ["run own"]


async def test_a_push_is_read_at_its_commit() -> None:
    repository = Repository()
    pushed = PushEvent(ref="refs/heads/main", after="c" * 40, repository=samples.REPO)
    assert (await settle(pushed, repository))[0] == ["run post"]
    assert repository.asked == [Wanted(org="o", repo="r", base_sha="c" * 40)]
    assert (await settle(msgspec.structs.replace(pushed, after="0" * 40), repository))[1] == "(not for trigger)"


async def test_other_orgs_are_left_alone() -> None:
    repository = Repository()
    found = reading(World(**MEMBER), repository)
    section = InRepoConfig(enabled={"o": True, "o/r": False})
    config = msgspec.structs.replace(found.snapshot.config, in_repo_config=section)
    off = msgspec.structs.replace(found, snapshot=Snapshot(config, found.snapshot.plugins, 0.0, "digest"))
    opened: PullRequestEvent = event("labeled", label=Label("ok-to-test"))
    facts = await plugin.gather(off, opened, samples.GUID)
    assert facts is not None
    assert [brief(action) for action in plugin.decide(facts).actions] == ["run unit"]
    assert repository.asked == []


async def test_help_says_why_own_jobs_are_not_offered() -> None:
    """What it quotes can neither leave its block nor carry one of the marks by which comments are found."""
    bad = Problem(".prow.yaml", 7, "name: `<!-- test report -->\\n```\\n@org/everybody` is no name")
    facts = await plugin.gather(
        reading(World(), Repository(error=ConfigErrors([bad]))), comment("/test ?"), samples.GUID
    )
    assert facts is not None
    (said,) = plugin.decide(facts).actions
    assert isinstance(said, actions.CreateComment)
    told, _, _ = said.body.partition("<details>")
    assert "\n```\n/test unit\n```\n" in told
    assert "are not among them:\n```\nthe repository's own jobs do not count: .prow.yaml:7: name: '&lt;!--" in told
    assert told.count("```") == 4
    assert "<!-- test report -->" not in said.body


SLOW = "(a|b)*a(a|b){400}c"
COSTLY = f"""
presubmits:
- {{name: odd, trigger: '(?m)^please|{SLOW}', rerun_command: please, spec: {{containers: [{{image: i}}]}}}}
- {{name: py, run_if_changed: 'py$|{SLOW}', spec: {{containers: [{{image: i}}]}}}}
- {{name: docs, skip_if_only_changed: 'md$|{SLOW}', spec: {{containers: [{{image: i}}]}}}}
postsubmits: [{{name: post, run_if_changed: 'py$|{SLOW}', spec: {{containers: [{{image: i}}]}}}}]
"""
LONG = "ab" * 20_000
FILES = tuple(f"{LONG[:200]}{n}.py" for n in range(100))


def pushed(*files: str) -> PushEvent:
    return PushEvent(
        ref="refs/heads/main", after="c" * 40, repository=samples.REPO, commits=(Commit(modified=tuple(files)),)
    )


@pytest.mark.parametrize(
    ("of", "world", "done", "tried"),
    [
        (comment("please"), {}, ["run odd"], []),
        (comment(f"please\n{LONG}"), {}, ["run odd"], ["visible", "body"]),
        (comment(f"```\nplease\n```\n{LONG}"), {}, [], ["visible"]),
        (comment(f"```\nplease\n```\n/test unit\n{LONG}"), {}, ["run unit", "run odd"], ["visible", "body"]),
        (comment(f"thanks\n{LONG}"), {}, [], ["visible"]),
        (comment("/test all"), {"files": FILES}, ["run unit", "run py", "run docs"], ["files"]),
        (comment("/test ?"), {"files": FILES}, ["comment"], ["files"]),
        (event("opened"), {**MEMBER, "files": FILES}, ["run unit", "run py", "run docs"], ["files"]),
        (event("opened"), {**MEMBER, "files": ("a.md",)}, ["run unit"], []),
        (event("opened"), {"files": FILES}, ["comment", "+needs-ok-to-test"], []),
        (pushed(*FILES), {}, ["run post"], ["files"]),
        (pushed("a.py"), {}, ["run post"], []),
    ],
)
async def test_patterns_that_may_take_long_are_tried_elsewhere(
    of: Event, world: dict[str, Any], done: list[str], tried: list[str]
) -> None:
    """Only these, each once, on what the delivery brings; and the decision, taken again too, is the same."""
    repository = Repository(COSTLY)
    repository.most_s = 1e9
    place = World(**world)
    facts = await plugin.gather(reading(place, repository), of, samples.GUID)
    assert [
        name for texts in repository.tried for name, found in msgspec.structs.asdict(texts).items() if found
    ] == tried
    if facts is None:
        assert done == []
        return
    decision = plugin.decide(facts)
    check_explained(facts, decision)
    assert [brief(action) for action in decision.actions] == done


@pytest.mark.parametrize(
    ("of", "world", "done"),
    [
        (comment(f"please\n{LONG}"), {}, []),
        (comment(f"please\n/test unit\n{LONG}"), {}, ["run unit"]),
        (comment("/test all"), {"files": FILES}, ["run unit"]),
        (event("opened"), {**MEMBER, "files": FILES}, ["run unit"]),
        (event("synchronize"), {**MEMBER, "files": FILES}, ["abort pj-1", "abort pj-2", "run unit"]),
        (pushed(*FILES), {}, []),
    ],
)
async def test_patterns_that_take_too_long_cost_the_own_jobs(of: Event, world: dict[str, Any], done: list[str]) -> None:
    """The static jobs run as ever, and the reason is told."""
    repository = Repository(COSTLY)
    repository.most_s = 0.5
    actions_, why, _ = await settle(of, repository, **world)
    assert actions_ == done
    assert "do not count: their patterns take more than" in why or why == "(not for trigger)"
