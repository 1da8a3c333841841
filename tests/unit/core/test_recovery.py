"""Which deliveries of GitHub's log are asked for again."""

import msgspec

from prow_async.api.github import Branch, HookDelivery, PullRequest
from prow_async.core import instants, recovery

NOW_S = 1_800_000_000.0


def tried(number: int, ago_s: float, status: int = 502, guid: str = "", event: str = "push") -> HookDelivery:
    at = instants.rfc3339(NOW_S - ago_s)
    return HookDelivery(id=number, guid=guid or f"guid-{number}", delivered_at=at, event=event, status_code=status)


def asked(
    *log: HookDelivery, known: frozenset[str] = frozenset(), since_s: float = 0.0, alone: bool = True
) -> list[int]:
    lost = recovery.add({}, log, since_s)
    return [one.delivery_id for one in recovery.decide(lost, known, NOW_S, 100, alone).ask]


def test_what_is_not_here_is_asked_for_oldest_first() -> None:
    """Failed ones, and those GitHub holds for delivered; not what is here, hopeless, a ping, or still under way."""
    log = [
        tried(6, 10),
        tried(5, 100, 200),
        tried(4, 200, 400),
        tried(3, 300, event="ping"),
        tried(2, 400, 0),
        tried(1, 500, guid="here"),
    ]
    assert asked(*log, known=frozenset({"here"})) == [2, 5]


def test_what_somebody_has_taken_is_left_to_him() -> None:
    """Unless nobody else can have: a try that worked counts, in whatever order the tries come."""
    log = [tried(7, 300, 200, "b"), tried(5, 600, guid="b"), tried(3, 700, 204, "a"), tried(1, 900, 302, "c")]
    assert asked(*log, alone=False) == asked(*log[::-1], alone=False) == [1]
    assert asked(*log) == [1, 3, 7]


def test_what_another_hook_took_when_asked_again_is_recovered() -> None:
    lost = recovery.decide(recovery.add({}, [tried(1, 100)], 0.0), frozenset(), NOW_S, 10, False).lost
    found = recovery.decide(recovery.add(lost, [tried(2, 0, 200, "guid-1")], 0.0), frozenset(), NOW_S + 300, 10, False)
    assert (found.recovered, found.lost, found.ask) == (("guid-1",), {}, ())


def test_what_was_sent_before_the_inbox_was_there_is_left_alone() -> None:
    assert asked(tried(1, 500), tried(2, 100), since_s=NOW_S - 200) == [2]


def test_several_tries_are_one_delivery() -> None:
    """The newest try is asked for, in whatever order the log comes."""
    assert asked(tried(1, 500, guid="a"), tried(7, 90, guid="a"), tried(3, 300, guid="a")) == [7]
    assert asked(tried(7, 90, guid="a"), tried(1, 500, guid="a")) == [7]


def test_asked_again_after_longer_and_longer_and_then_given_up_for_good() -> None:
    """The log names it all the while, with the tries that were asked for; in the end it forgets it, as we do."""
    log, lost = [tried(1, 100)], dict[str, recovery.Lost]()
    asks, given_up = [], 0
    for passed_s in range(0, 4 * 86400, 60):
        since_s = NOW_S + passed_s - recovery.LOG_REACHES_S
        found = recovery.decide(recovery.add(lost, log, since_s), frozenset(), NOW_S + passed_s, 10, True)
        lost, given_up = found.lost, given_up + len(found.given_up)
        for _ in found.ask:
            asks.append(passed_s)
            log.insert(0, tried(len(log) + 1, -passed_s, guid="guid-1"))
    assert not lost
    assert given_up == 1
    assert asks == [0, 120, 120 + 900, 1020 + 3600, 4620 + 21600]


def test_what_came_in_the_end_is_counted_as_recovered_once() -> None:
    lost = recovery.add({}, [tried(1, 100), tried(2, 100)], 0.0)
    lost = recovery.decide(lost, frozenset({"guid-2"}), NOW_S, 10, True).lost
    found = recovery.decide(lost, frozenset({"guid-1"}), NOW_S + 300, 10, True)
    assert (found.recovered, found.lost, found.ask) == (("guid-1",), {}, ())


def test_a_round_asks_for_no_more_than_it_may() -> None:
    lost = recovery.add({}, [tried(number, 1000 - number) for number in range(1, 30)], 0.0)
    first = recovery.decide(lost, frozenset(), NOW_S, 10, True)
    assert [one.delivery_id for one in first.ask] == list(range(1, 11))
    second = recovery.decide(first.lost, frozenset(), NOW_S + 1, 100, True)
    assert [one.delivery_id for one in second.ask] == list(range(11, 30))


def test_the_oldest_count_when_there_are_too_many() -> None:
    log = [tried(number, number) for number in range(1, recovery.OPEN + 100)]
    lost = recovery.add({}, log, 0.0)
    assert len(lost) == recovery.OPEN
    assert "guid-1" not in lost


def test_our_webhook_is_known_by_its_address_or_by_what_came_from_it() -> None:
    assert recovery.ours(7, "https://a/hook", "https://a/hook", frozenset())
    assert not recovery.ours(7, "https://b/hook", "https://a/hook", frozenset({7}))
    assert recovery.ours(7, "https://b/hook", "", frozenset({7}))
    assert not recovery.ours(8, "https://b/hook", "", frozenset({7}))


def test_heads_nobody_has_looked_at() -> None:
    pull = PullRequest(number=1, head=Branch(sha="new"))
    ours = frozenset({"unit"})
    head = recovery.Head(pull, frozenset({"cla", "tide"}), frozenset({"old"}))
    assert recovery.unseen(head, ours)
    assert not recovery.unseen(head, frozenset())
    assert not recovery.unseen(msgspec.structs.replace(head, contexts=frozenset({"unit"})), ours)
    assert not recovery.unseen(msgspec.structs.replace(head, shas=frozenset({"new"})), ours)
