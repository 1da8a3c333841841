"""What must hold at the end of every life, looked up in the worlds and not in the engine's own memory."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from prow_async.api import names
from prow_async.core import identity, instants
from tests.lives import setup
from tests.lives.inbox import MemoryInbox
from tests.lives.ledger import Life
from tests.lives.model import Model, slots_between
from tests.lives.person import Person
from tests.lives.plan import FAIR
from tests.lives.worlds import START_S, Worlds

FINAL = {"success", "failure", "error", "aborted"}
_ORDER = {"triggered": 0, "pending": 1, "aborted": 2, "success": 2, "failure": 2, "error": 2}
_STATUS = {"success": "success", "failure": "failure", "error": "error", "aborted": "failure"}


class Evidence(msgspec.Struct, frozen=True):
    """All there is to look at after a life."""

    worlds: Worlds
    inbox: MemoryInbox
    person: Person
    calm_s: float
    """When trouble stopped."""
    ended_s: float
    trespasses: list[str]
    """Writes of replicas that another had replaced."""


Check = Callable[[Evidence], Iterator[str]]


def jobs_are_those_asked_for(seen: Evidence) -> Iterator[str]:
    """Exactly one ProwJob for each delivery and job of it, under its derived name, and no other."""
    wanted = Model(seen.worlds, seen.inbox, seen.person).wanted()
    created = Counter(job.name for job in seen.worlds.jobs)
    for name, times in created.items():
        if times > 1:
            yield f"ProwJob {name} was created {times} times"
    for one in wanted.values():
        if one.surely and one.name not in created:
            yield f"delivery {one.guid} asked for {one.type} {one.job.name}: no ProwJob {one.name} was made"
    for job in seen.worlds.jobs:
        if job.spec("type") != "periodic" and job.name not in wanted:
            yield f"nobody asked for {say(job)}"


def jobs_end_once(seen: Evidence) -> Iterator[str]:
    """Every ProwJob becomes terminal and complete, goes through its states forwards, and stays as it ended."""
    for job in seen.worlds.jobs:
        if not job.complete or job.status("state") not in FINAL:
            yield f"{say(job)} is {job.status('state')} and {'' if job.complete else 'not '}complete"
        states = [str(state.content["status"].get("state")) for state in job.states]
        if any(_ORDER[new] < _ORDER[old] for old, new in itertools.pairwise(states)):
            yield f"{say(job)} went backwards: {states}"
        ends = {(s.content["status"].get("completionTime"), s.content["status"].get("state")) for s in job.states}
        if len([end for end in ends if end[0]]) > 1:
            yield f"{say(job)} ended more than once: {ends}"
        if len({state for state in states if state in FINAL}) > 1:
            yield f"{say(job)} changed its result: {states}"


def one_pod_per_attempt(seen: Evidence) -> Iterator[str]:
    """For each attempt of a ProwJob one pod was ever created; a second attempt needs a first that was lost.

    A pod that its machine took away before anything was written down about it cannot be known of, and is made again.
    What a frozen replica had sent may come when its name is free again: see `straggles`. Such a pod is deleted.
    """
    worlds = seen.worlds
    by_uid = {job.uid: job for job in worlds.jobs}
    made = Counter(pod.attempt for pod in worlds.pods if not straggles(seen, pod, by_uid.get(pod.attempt[0])))
    for (uid, attempt), times in made.items():
        job = by_uid.get(uid)
        if job is None:
            yield f"a pod was made for ProwJob UID {uid!r}, which never was"
        elif times > 1 + worlds.removed[uid, attempt]:
            yield f"attempt {attempt} of {say(job)} had {times} pods"
    for job in worlds.jobs:
        attempts = sorted(int(attempt) for uid, attempt in made if uid == job.uid)
        if attempts != list(range(len(attempts))) or len(attempts) > worlds.losses[job.uid] + 1:
            yield f"{say(job)} lost {worlds.losses[job.uid]} pods and made attempts {attempts}"
        if not attempts and job.status("state") in {"success", "failure"}:
            yield f"{say(job)} has a result, but never had a pod"


def straggles(seen: Evidence, pod: Life, job: Life | None) -> bool:
    """True when a replica sent a pod, stood still, and the pod came to be once its successor had given this attempt up.

    Nothing can keep it out. A creation in Kubernetes has no condition but that its name is free, and giving a pod up
    frees it: from the moment on that the pod of an aborted job is gone, be the job complete by then or not yet.
    """
    if job is None or pod.last["metadata"]["labels"].get(names.BUILD_ID_LABEL) not in seen.worlds.late:
        return False
    known = [s.content["status"] for s in job.states if s.order < pod.states[0].order]
    attempt = int(pod.attempt[1])
    return any(
        status.get("completionTime") or status.get("state") == "aborted" or status.get("pod_revival_count", 0) > attempt
        for status in known
    )


def results_are_the_pods(seen: Evidence) -> Iterator[str]:
    """A ProwJob's state is what became of its last pod, unless somebody aborted it."""
    worlds = seen.worlds
    last: dict[str, str] = {}
    for (uid, _), fate in sorted(worlds.fates.items(), key=lambda item: int(item[0][1] or 0)):
        last[uid] = fate
    for job in worlds.jobs:
        state, fate = job.status("state"), last.get(job.uid, "none")
        nowhere = job.spec("cluster") == "nowhere"
        expected = {
            "success": fate == "Succeeded",
            "failure": fate in {"Failed", "oom"},
            "error": nowhere or worlds.losses[job.uid] > 0,
            "aborted": _may_be_aborted(seen, job),
        }
        if not expected.get(state, False):
            yield f"{say(job)} ended as {state}, its last pod as {fate}"


def _may_be_aborted(seen: Evidence, job: Life) -> bool:
    if job.uid in seen.person.by_hand or any(_replaces(other, job) for other in seen.worlds.jobs):
        return True
    numbers = {pull["number"] for pull in (job.spec("refs") or {}).get("pulls", ())}
    for handled in seen.inbox.handled.values():
        if handled.delivery.event == "pull_request":
            body = msgspec.json.decode(handled.delivery.body)
            ends = body["action"] in {"synchronize", "closed"} and body["number"] in numbers
            if ends and (handled.finished_s or 0.0) >= job.created_s:
                return True
    return False


def _replaces(other: Life, job: Life) -> bool:
    """True when a run of the same job on the same pull requests is newer, as far as whole seconds tell."""

    def tested(one: Life) -> tuple[Any, ...]:
        refs = one.spec("refs") or {}
        numbers = sorted(pull["number"] for pull in refs.get("pulls", ()))
        return one.spec("type"), one.spec("job"), refs.get("base_ref"), numbers

    same = other is not job and job.spec("type") == "presubmit" and tested(other) == tested(job)
    return same and other.created_s >= job.created_s


def no_pod_outlives_its_job(seen: Evidence) -> Iterator[str]:
    """Nothing runs for a ProwJob that is over, but for pods whose machine is out of reach."""
    uids = {job.uid: job for job in seen.worlds.jobs if job.complete}
    for pod in seen.worlds.pods:
        job = uids.get(pod.attempt[0])
        if job is None or pod.gone or pod.deleting or pod.finished or pod.status("phase") == "Unknown":
            continue
        yield f"pod {pod.name} is {pod.status('phase')}, though {say(job)} is over"


def deliveries_are_handled_once(seen: Evidence) -> Iterator[str]:
    """Nothing waits in the inbox; each delivery was finished once and decided at most once by each plugin."""
    guids: Counter[str] = Counter()
    for handled in seen.inbox.handled.values():
        delivery = handled.delivery
        guids[delivery.guid] += 1
        if handled.finished != 1:
            yield f"delivery {delivery.guid} ({delivery.event}) was finished {handled.finished} times"
        for plugin, times in handled.decisions.items():
            if times != 1:
                yield f"{plugin} decided {times} times about delivery {delivery.guid} ({delivery.event})"
        if handled.refused or ": failed: " in handled.note:
            yield f"delivery {delivery.guid}: {handled.note!r}, refused: {handled.refused}"
    yield from (f"delivery {guid} was taken in {times} times" for guid, times in guids.items() if times > 1)
    for guid in {d.guid for d in seen.worlds.github.outbox.log()} - set(guids):
        yield f"delivery {guid} was lost"


def statuses_tell_the_newest_run(seen: Evidence) -> Iterator[str]:
    """For each commit and context GitHub shows the newest run's state, and no older run spoke after its end."""
    repo, runs = seen.worlds.repo, _runs(seen)
    shown = {(sha, record.context) for sha, records in repo.statuses.items() for record in records}
    for sha, context in sorted(shown - set(runs)):
        yield f"GitHub shows {context} on {sha[:8]}, which no job reports"
    for (sha, context), jobs in runs.items():
        records = [record for record in repo.statuses.get(sha, ()) if record.context == context]
        newest = _newest(jobs)
        states = {_STATUS.get(job.status("state"), "pending") for job in newest}
        if not records or records[-1].state not in states:
            says = records[-1].state if records else "nothing"
            named = ", ".join(map(say, newest))
            yield f"GitHub says {says} of {context} on {sha[:8]}; the newest is {named}: {states}"
        ended = False
        for record in records:
            speaker = (record.target_url or "").removeprefix(setup.PAGES)
            by_newest = speaker in {job.name for job in newest}
            if ended and speaker and not by_newest:
                yield f"{context} on {sha[:8]}: {speaker} spoke ({record.state}) after a newer run had ended"
            ended = ended or (by_newest and record.state != "pending")


def reports_list_what_fails(seen: Evidence) -> Iterator[str]:
    """At most one report comment stands on each pull request, with a row for each context whose newest run failed."""
    for number, issue in seen.worlds.repo.issues.items():
        reports = [said for said in issue.comments if said.author == setup.BOT and "<!-- test report -->" in said.body]
        if len(reports) > 1:
            yield f"#{number} has {len(reports)} report comments"
        rows = [line.split(" | ")[0] for said in reports for line in said.body.split("\n") if " | [link](" in line]
        if len(set(rows)) != len(rows):
            yield f"#{number} lists a context twice: {rows}"
        runs: dict[str, list[Life]] = {}
        for (_, context), jobs in _runs(seen, number).items():
            runs.setdefault(context, []).extend(jobs)
        for context, jobs in runs.items():
            newest = _newest(jobs)
            may = {job.status("state") == "failure" for job in newest}
            if (context in rows) not in may:
                tells = "lists" if context in rows else "does not list"
                yield f"the report of #{number} {tells} {context}; its newest run is {', '.join(map(say, newest))}"
        if set(rows) - set(runs):
            yield f"the report of #{number} lists {set(rows) - set(runs)}, which never ran"


def _runs(seen: Evidence, number: int | None = None) -> dict[tuple[str, str], list[Life]]:
    """Group the jobs that report by commit and context; with `number`, those of that pull request alone."""
    runs: dict[tuple[str, str], list[Life]] = {}
    for job in seen.worlds.jobs:
        refs = job.spec("refs")
        if not job.spec("report") or refs is None:
            continue
        pulls = refs.get("pulls", ())
        if number is not None and number not in {pull["number"] for pull in pulls}:
            continue
        sha = pulls[0]["sha"] if pulls else refs["base_sha"]
        runs.setdefault((sha, job.spec("context")), []).append(job)
    return runs


def _newest(jobs: list[Life]) -> list[Life]:
    """Several where the API server's clock, which counts whole seconds, cannot tell."""
    newest_s = max(job.created_s for job in jobs)
    return [job for job in jobs if job.created_s == newest_s]


def the_bot_says_things_once(seen: Evidence) -> Iterator[str]:
    """No comment of the bot, but for reports, was ever written twice; each answer quotes its own occasion."""
    said: Counter[tuple[int, str]] = Counter()
    for delivery in {d.guid: d for d in seen.worlds.github.outbox.log()}.values():
        if delivery.event == "issue_comment" and delivery.action == "created":
            body = msgspec.json.decode(delivery.body)
            text = body["comment"]["body"]
            if body["comment"]["user"]["login"] == setup.BOT and "<!-- test report -->" not in text:
                said[body["issue"]["number"], text] += 1
    for (number, text), times in said.items():
        if times > 1:
            yield f"on #{number} the bot said {times} times: {text[:80]!r}"


def strangers_wait(seen: Evidence) -> Iterator[str]:
    """A stranger's pull request is welcomed once, and its jobs run only once a member has vouched for it."""
    for number, issue in seen.worlds.repo.issues.items():
        if issue.author != setup.OUTSIDER:
            continue
        vouched = any(said.body == "/ok-to-test" for said in issue.comments)
        welcomes = [said for said in issue.comments if said.author == setup.BOT and "Thanks for your" in said.body]
        if len(welcomes) != 1:
            yield f"#{number} was welcomed {len(welcomes)} times"
        if vouched != ("ok-to-test" in issue.labels) or vouched == ("needs-ok-to-test" in issue.labels):
            yield f"#{number} is {'' if vouched else 'not '}vouched for, its labels are {issue.labels}"


def periodics_keep_time(seen: Evidence) -> Iterator[str]:
    """One run at most for each slot of a cron; an interval's runs follow one another and never overlap."""
    runs = [job for job in seen.worlds.jobs if job.spec("type") == "periodic"]
    nightly = [job for job in runs if job.spec("job") == "nightly"]
    slots = slots_between(START_S - 3600, START_S + seen.ended_s)
    known = {identity.name_for(setup.INSTALLATION, "horologium", "", "periodic", "nightly", slot) for slot in slots}
    yield from (f"{say(job)} belongs to no slot" for job in nightly if job.name not in known)
    if not nightly and _slots_left(seen) > 0 and seen.worlds.plan.kube == FAIR:
        yield "the nightly never ran"
    beats = [job for job in runs if job.spec("job") == "heartbeat"]
    keys = [identity.FIRST, *(job.uid for job in beats)]
    known = {identity.name_for(setup.INSTALLATION, "horologium", "", "periodic", "heartbeat", key) for key in keys}
    yield from (f"{say(job)} follows no run" for job in beats if job.name not in known)
    for before, after in itertools.pairwise(beats):
        gap_s = _started_s(after) - _started_s(before)
        if gap_s < setup.INTERVAL_S - 1:
            yield f"{say(after)} came {gap_s:.0f} s after the run before"
        if not any(s.at_s <= after.states[0].at_s and s.content["status"].get("completionTime") for s in before.states):
            yield f"{say(after)} began before {say(before)} had ended"


def _slots_left(seen: Evidence) -> int:
    """Count the slots of the nightly that are left when each process that was away missed as many as it could."""
    plan = seen.worlds.plan
    missed = sum(int(down_s // setup.CRON_S) + 1 for down_s in plan.down_s[: len(plan.kills)])
    return int(plan.script_s // setup.CRON_S) - missed - 1


def _started_s(job: Life) -> float:
    return instants.seconds(job.status("startTime"))


def the_engine_never_stumbled(seen: Evidence) -> Iterator[str]:
    """Trouble outside is no bug: no actor died, no plugin failed, nothing was set aside."""
    for name in ("prow_async_actor_restarts_total", "prow_plugin_handle_errors", "prow_async_malformed_objects_total"):
        if seen.worlds.metrics.sums[name]:
            yield f"{name} is {seen.worlds.metrics.sums[name]}"


def say(job: Life) -> str:
    return f"ProwJob {job.name} ({job.spec('type')} {job.spec('job')}, {job.status('state')})"


ALL: tuple[Check, ...] = (
    jobs_are_those_asked_for,
    jobs_end_once,
    one_pod_per_attempt,
    results_are_the_pods,
    no_pod_outlives_its_job,
    deliveries_are_handled_once,
    statuses_tell_the_newest_run,
    reports_list_what_fails,
    the_bot_says_things_once,
    strangers_wait,
    periodics_keep_time,
    the_engine_never_stumbled,
)
