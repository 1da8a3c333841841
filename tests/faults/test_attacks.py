"""What strangers try: pull requests that rewrite their own jobs, commands by the thousand, deliveries nobody sent."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from prow_async.api.actions import CreateComment, CreateProwJob, Decision
from prow_async.api.github import Label, PullRequestEvent
from prow_async.apps.hook import PLUGINS
from prow_async.core import inrepo_limits, inrepo_pods, webhook
from prow_async.plugins import trigger
from prow_async.ports.plugin import Event
from tests.unit.core import samples
from tests.unit.plugins import parts
from tests.unit.plugins.test_trigger import MEMBER, event
from tests.unit.plugins.test_trigger_in_repo import Repository, World, comment, reading

Json = dict[str, Any]
JOB = {"name": "own", "always_run": True, "spec": {"containers": [{"image": "i"}]}}
LONGEST_WHY = 30_000
"""In characters: what anybody's files or words may put into a line of the log."""


def files(**changes: Any) -> str:
    return json.dumps({"presubmits": [{**JOB, **changes}]})


def pod(**changes: Any) -> str:
    return files(spec={**JOB["spec"], **changes})  # type: ignore[dict-item]


def many(number: int, **changes: Any) -> str:
    return json.dumps({"presubmits": [{**JOB, "name": f"own-{i}", **changes} for i in range(number)]})


def aliased(field: str) -> str:
    """A megabyte in one place, and in each of 500 jobs by its alias."""
    jobs = "\n".join(f"- {{name: j{i}, spec: {{containers: [{{image: i}}]}}, {field}: *big}}" for i in range(500))
    return f"x: &big '{'y' * (1 << 20)}'\npresubmits:\n{jobs}\n"


def preset() -> str:
    env = [{"name": "A", "value": "y" * (1 << 20)}]
    return json.dumps({"presets": [{"labels": {"a": "b"}, "env": env}], **json.loads(many(500, labels={"a": "b"}))})


async def decided(of: Event, text: str, *forbidden: str, **world: Any) -> Decision | None:
    """Let trigger decide where the repository's own files hold this text. Static is one job, `unit`."""
    repository = Repository(text, policy=inrepo_pods.policy(forbidden))
    facts = await trigger.PLUGIN.gather(reading(World(**world), repository), of, samples.GUID)
    if facts is None:
        return None
    explains = trigger.PLUGIN.explains
    assert explains is not None
    assert len(explains.keep(facts).facts) < 1 << 20, "what is kept for `explain` stays small"
    decision = trigger.PLUGIN.decide(facts)
    assert len(msgspec.json.encode(decision)) < 16 << 20, "what is decided can be recorded"
    assert len(decision.why) < LONGEST_WHY
    return decision


def jobs(decision: Decision | None) -> list[str]:
    assert decision is not None
    return [action.job.spec.job for action in decision.actions if isinstance(action, CreateProwJob)]


REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "a cluster it may not use": (lambda: files(cluster="trusted"), "cluster: trusted is not allowed for o/r"),
    "an alias no cluster has": (lambda: files(cluster="../default"), "is not allowed for o/r"),
    "jobs of another repository": (lambda: json.dumps({"presubmits": {"p/q": [JOB]}}), ".prow.yaml"),
    "periodics": (lambda: json.dumps({"periodics": [{**JOB, "interval": "1s"}]}), ""),
    "a static job's name": (lambda: files(name="unit"), "unit"),
    "a name that leads elsewhere": (lambda: files(name="../../other"), "name"),
    "a negative limit": (lambda: files(max_concurrency=-1), "max_concurrency"),
    "a limit beyond all numbers": (lambda: files(max_concurrency=2**70), ".prow.yaml"),
    "labels of ours": (lambda: files(labels={"prow.k8s.io/id": "other"}), "label"),
    "variables of ours": (
        lambda: pod(containers=[{"image": "i", "env": [{"name": "JOB_SPEC", "value": "{}"}]}]),
        "JOB_SPEC",
    ),
    "volumes of ours": (lambda: pod(volumes=[{"name": "gcs-credentials", "secret": {"secretName": "x"}}]), "reserved"),
    "an init container": (lambda: pod(initContainers=[{"name": "x", "image": "i"}]), "init container"),
    "a preset of another's name": (
        lambda: json.dumps(
            {"presets": [{"labels": {"a": "b"}, "env": [{"name": "CI", "value": "x"}]}]}
            | json.loads(files(labels={"a": "b"}))
        ),
        "CI",
    ),
    "10,000 jobs": (lambda: many(10_000), "10000 jobs in the repository; 1000 are allowed"),
    "a bomb of aliases": (
        lambda: "\n".join(
            ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12))]
        ),
        "excessive aliasing",
    ),
    "a bomb of nesting": (lambda: "x: " + "[" * 10_000, "nested deeper"),
    "1,000 patterns that take long": (
        lambda: json.dumps(
            {
                "presubmits": [
                    {**JOB, "name": f"own-{i}", "trigger": f"x|(a|b)*a(a|b){{400}}c{i}", "rerun_command": "x"}
                    for i in range(1000)
                ]
            }
        ),
        "come to more than 200000 instructions",
    ),
    "a pattern of 10,000 instructions": (
        lambda: files(run_if_changed="(a|b){900}(a|b){900}(a|b){900}(a|b){900}", always_run=False),
        'job "own": run_if_changed: a pattern of',
    ),
    "a megabyte in 500 patterns": (lambda: aliased("run_if_changed"), "aliases and presets written out"),
    "a megabyte in 500 contexts": (lambda: aliased("context"), "aliases and presets written out"),
    "a megabyte that a preset puts into 500 jobs": (preset, "aliases and presets written out"),
    "a pattern of 10,000 parentheses": (
        lambda: files(run_if_changed="(" * 10_000 + ")" * 10_000, always_run=False),
        "",
    ),
    "a pattern of repetitions": (lambda: files(run_if_changed="((a{1,999}){1,999}){1,999}", always_run=False), ""),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", REFUSED)
async def test_own_files_that_reach_too_far_are_refused_whole(name: str) -> None:
    """Also from a member: the static job runs alone, and the reason is in what is logged. From a stranger nothing."""
    make, told = REFUSED[name]
    text = make()
    decision = await decided(event("opened"), text, **MEMBER)
    assert jobs(decision) == ["unit"], name
    assert decision is not None
    if name != "periodics":
        assert "the repository's own jobs do not count" in decision.why
    assert told in decision.why
    assert jobs(await decided(event("opened"), text)) == []


HOST = {"labels": {"a": "b"}, "volumes": [{"name": "h", "hostPath": {"path": "/"}}]}
UNTRUSTED: dict[str, Callable[[], str]] = {
    "a secret": lambda: pod(volumes=[{"name": "s", "secret": {"secretName": "github-token"}}]),
    "a service account": lambda: pod(serviceAccountName="prow-async-hook"),
    "the host's files": lambda: pod(volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
    "all rights": lambda: pod(containers=[{"image": "i", "securityContext": {"privileged": True}}]),
    "the host's network": lambda: pod(hostNetwork=True, hostPID=True),
    "a limit of its own": lambda: files(max_concurrency=2**31 - 1),
    "1,000 jobs": lambda: many(inrepo_limits.MAX_JOBS),
    "a preset": lambda: json.dumps({"presets": [HOST], **json.loads(files(labels={"a": "b"}))}),
    "a trigger that fits everything": lambda: files(trigger="(?s).*", rerun_command="x"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", UNTRUSTED)
async def test_what_a_strangers_files_ask_for_waits_for_somebody_trusted(name: str) -> None:
    """Nothing of it runs: not by itself, not by the stranger's own word, not by a label the bot sets."""
    text = UNTRUSTED[name]()
    assert jobs(await decided(event("opened"), text)) == []
    assert jobs(await decided(event("synchronize"), text)) == []
    for body in ("/test all", "/test own", "/retest", "/ok-to-test"):
        assert jobs(await decided(comment(body, by="ann"), text)) == []
    assert "own" in (jobs(await decided(comment("/ok-to-test"), text)) or []) or name == "1,000 jobs"


FORBIDDEN = {
    "a secret": "spec.volumes[0].secret",
    "a service account": "spec.serviceAccountName",
    "the host's files": "spec.volumes[0].hostPath",
    "all rights": "spec.containers[0].securityContext.privileged",
    "the host's network": "spec.hostNetwork",
    "a preset": "spec.volumes[0].hostPath",
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", FORBIDDEN)
async def test_what_is_forbidden_runs_for_nobody(name: str) -> None:
    """With `--in-repo-forbid`, for a member too, and after `/ok-to-test`: the static job alone, and the reason."""
    text = UNTRUSTED[name]()
    for of, world in (
        (event("opened"), MEMBER),
        (event("synchronize"), {"labels": ("ok-to-test",)}),
        (comment("/ok-to-test"), {}),
    ):
        decision = await decided(of, text, "all", **world)
        assert jobs(decision) == ["unit"]
        assert decision is not None
        assert f'.prow.yaml:1: job "own": {FORBIDDEN[name]}: not allowed' in decision.why
    assert "own" in jobs(await decided(event("opened"), text, "all", "o/r=none", **MEMBER))


@pytest.mark.anyio
async def test_a_pattern_that_backtracks_elsewhere_does_not_here() -> None:
    """`(a+)+$` over a long file name: time grows with its length, not with its power."""
    text = files(run_if_changed="(a+)+$", always_run=False)
    long = "a" * 100_000 + "!"
    assert jobs(await decided(event("opened"), text, files=(long,), **MEMBER)) == ["unit"]
    assert jobs(await decided(event("opened"), text, files=("a" * 100_000,), **MEMBER)) == ["unit", "own"]


@pytest.mark.anyio
async def test_a_strangers_patterns_on_a_strangers_comment() -> None:
    """Within all bounds as read, minutes on a comment of 65,000 letters: tried aside, for as long as is given.

    The clock of these tests goes on by a second with each pattern.
    """
    slow = [
        {**JOB, "name": f"own-{i}", "trigger": f"x|(a|b)*a(a|b){{400}}c{i}", "rerun_command": "x"} for i in range(99)
    ]
    text = json.dumps({"presubmits": slow})
    assert await decided(comment("ab" * 32_000, by="ann"), text) is None
    decision = await decided(comment("/test all\n" + "ab" * 32_000), text)
    assert jobs(decision) == ["unit"]
    assert decision is not None
    assert "do not count: their patterns take more than 5 s against a comment; given up at job" in decision.why


@pytest.mark.anyio
async def test_a_push_after_ok_to_test() -> None:
    """Followed from upstream: the label stays, so new commits run, whatever they bring. docs/parity.md, section 2."""
    decision = await decided(event("synchronize"), files(), labels=("ok-to-test",))
    assert jobs(decision) == ["unit", "own"]
    assert decision is not None
    assert "-ok-to-test" not in [parts.brief(action) for action in decision.actions]
    assert jobs(await decided(event("synchronize"), files(cluster="trusted"), labels=("ok-to-test",))) == ["unit"]
    cancelled = await decided(comment("/ok-to-test cancel"), files(), labels=("ok-to-test",))
    assert cancelled is not None
    assert [parts.brief(action) for action in cancelled.actions] == ["-ok-to-test", "+needs-ok-to-test"]


COMMANDS = (
    "/test all",
    "/test own",
    "/test x{}",
    "/test ?",
    "/retest",
    "/ok-to-test",
    "/ok-to-test cancel",
    "/hold",
    "/hold cancel",
    "/lgtm",
    "/lgtm cancel",
    "/kind x{}",
    "/label x{}",
    "/remove-label x{}",
    "/help",
    "/good-first-issue",
)


@pytest.mark.anyio
@pytest.mark.parametrize("command", [*COMMANDS, "\n".join(COMMANDS)])
async def test_a_comment_of_10_000_commands(command: str) -> None:
    """No plugin answers it with more than a few hundred writes, nor with more text than GitHub takes."""
    body = "\n".join(command.replace("{}", str(number)) for number in range(10_000 // len(command.splitlines())))
    labels = tuple(f"x{number}" for number in range(10_000))
    world = parts.World(labels_=labels, repo_labels_=labels, members=frozenset({"ann"}))
    for plugin in PLUGINS:
        if plugin is trigger.PLUGIN:
            decision = await decided(comment(body), files())
        else:
            facts = await plugin.gather(parts.reads(world, parts.PluginConfig()), parts.said(body), samples.GUID)
            decision = None if facts is None else plugin.decide(facts)
        acts = () if decision is None else decision.actions
        assert len(acts) <= 400, plugin.name
        assert len({msgspec.json.encode(act) for act in acts}) == len(acts), "nothing is done twice"
        said = [action.body for action in acts if isinstance(action, CreateComment)]
        assert len(said) <= 1
        assert all(len(text) <= 65_536 for text in said), plugin.name


SECRETS = b"""
'*': [{value: ours, created_at: 2026-01-01T00:00:00Z}]
p: [{value: theirs, created_at: 2026-01-01T00:00:00Z}]
"""
ABOUT_US = {"repository": {"full_name": "o/r", "name": "r", "owner": {"login": "o"}}}
ABOUT_THEM = {"repository": {"full_name": "p/q", "name": "q", "owner": {"login": "p"}}}


def answered(body: Json, signed: bytes, wrote: Json | None = None) -> int:
    """Return the status a delivery gets, 200 where it is accepted; `wrote` is what was signed instead."""
    data = json.dumps(body).encode()
    headers = {
        "X-GitHub-Event": "pull_request",
        "X-GitHub-Delivery": samples.GUID,
        "X-Hub-Signature-256": webhook.sign(json.dumps(wrote or body).encode(), signed),
        "Content-Type": "application/json",
    }
    found = webhook.verify("POST", headers, data, webhook.parse_tokens(SECRETS))
    return found.status if isinstance(found, webhook.Answer) else 200


def test_forged_deliveries() -> None:
    """Signed by nobody, by a tenant about another's repository, or over another body: not accepted."""
    assert answered(ABOUT_US, b"ours") == 200
    assert answered(ABOUT_THEM, b"theirs") == 200
    assert answered(ABOUT_US, b"") == 403
    assert answered(ABOUT_US, b"theirs") == 403
    assert answered(ABOUT_THEM, b"ours") == 403
    assert answered(ABOUT_US, b"theirs", ABOUT_THEM) == 403
    doubled = {**ABOUT_US, "organization": {"login": "p"}}
    assert answered(doubled, b"theirs") == 403, "the repository says whose secret counts"


@pytest.mark.anyio
async def test_a_tenants_delivery_stays_in_the_tenants_repository() -> None:
    """The pull request within claims another base: what is done is done where the signature counted."""
    opened: PullRequestEvent = event("labeled", label=Label("ok-to-test"))
    there = msgspec.structs.replace(samples.REPO, name="victim", full_name="o/victim")
    base = msgspec.structs.replace(opened.pull_request.base, repo=there)
    forged = msgspec.structs.replace(opened, pull_request=msgspec.structs.replace(opened.pull_request, base=base))
    decision = await decided(forged, files(), **MEMBER)
    assert decision is not None
    refs = [action.job.spec.refs for action in decision.actions if isinstance(action, CreateProwJob)]
    assert {(ref.org, ref.repo) for ref in refs if ref is not None} == {("o", "r")}
