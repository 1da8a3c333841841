"""What one life will be like, drawn from its seed before it begins."""

import random
from typing import Literal

import msgspec

from prow_async.apps.engine import Component

ALL: frozenset[Component] = frozenset({"hook", "plank", "crier", "sinker", "horologium"})
APART: tuple[frozenset[Component], ...] = (
    frozenset({"hook", "horologium"}),
    frozenset({"plank", "sinker"}),
    frozenset({"crier"}),
)
CONTROLLERS: frozenset[Component] = frozenset({"plank", "crier", "sinker", "horologium"})
REPLICAS: tuple[frozenset[Component], ...] = (frozenset({"hook"}), CONTROLLERS, CONTROLLERS)
"""The controllers twice, under Leases; of hooks one, as there is one inbox."""
SHORT_SHARE = 0.8


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """How often things go wrong at one door, as shares of requests, lines or streams."""

    before: float = 0.0
    """Answered with an error, or dropped, and nothing done."""
    after: float = 0.0
    """Done, but the answer is lost or an error."""
    conflict: float = 0.0
    """A write answered 409 out of the blue."""
    delay: float = 0.0
    cut: float = 0.0
    """A watch cut in the middle of a line."""
    double: float = 0.0
    late: float = 0.0
    silent: float = 0.0
    """A watch that says nothing more after this line, and is not closed."""
    outages: tuple[tuple[float, float], ...] = ()
    """From, until: nobody answers."""


FAIR = Weather()


class Freeze(msgspec.Struct, frozen=True):
    """A replica stands still: when it sends its `request` (counted over all replicas), or when that is answered."""

    request: int
    answered: bool
    for_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A life's course.

    `kills` counts effective writes of the engine, from 1: the process that does such a write dies with it.
    """

    seed: int
    script_s: float
    steps: int
    processes: tuple[frozenset[Component], ...]
    kube: Weather
    far: Weather
    github: Weather
    storage: Weather
    disk: float
    """Share of the inbox's writes that fail or leave doubt."""
    kills: tuple[int, ...]
    down_s: tuple[float, ...]
    """How long each kill keeps the process down; used in turn."""
    freezes: tuple[Freeze, ...] = ()
    """In turn, of replicas alone."""
    compactions: tuple[float, ...]
    mischief: float
    """Share of pods that the machine loses."""
    hands: float
    """Share of steps in which somebody changes the cluster by hand."""
    sweep: bool
    """Live on until everything is swept away."""

    def dice(self, what: str) -> random.Random:
        """Return dice of their own for one part of the life."""
        return random.Random(f"{self.seed}/{what}")


def draw(seed: int, kill: int | None = None) -> Plan:
    """Make the plan of a seed. `kill` puts one kill, after that write, in place of those drawn.

    Four lives of five are short: what goes wrong is rarer in them, but many are lived.
    """
    dice = random.Random(seed)
    short = dice.random() < SHORT_SHARE
    script_s = dice.choice([20.0, 40.0, 60.0]) if short else dice.choice([180.0, 360.0])
    most = 100 if short else 400
    kills = tuple(sorted(dice.randint(1, most) for _ in range(dice.choice([0, 1, 1, 2, 3, 6]))))
    processes = dice.choices([(ALL,), APART, REPLICAS], [5, 2, 3])[0]
    return Plan(
        seed=seed,
        script_s=script_s,
        steps=dice.randint(1, 4) if short else dice.randint(8, 16),
        processes=processes,
        kube=_weather(dice, script_s),
        far=_weather(dice, script_s),
        github=_weather(dice, script_s),
        storage=_weather(dice, script_s),
        disk=dice.choice([0.0, 0.0, 0.02, 0.1]),
        kills=kills if kill is None else (kill,),
        down_s=tuple(dice.choice([0.0, 0.3, 5.0, 45.0, 130.0]) for _ in range(6)),
        freezes=_freezes(dice, most) if processes is REPLICAS else (),
        compactions=tuple(dice.uniform(0, script_s) for _ in range(dice.choice([0, 1, 4]))),
        mischief=dice.choice([0.0, 0.0, 0.1, 0.3]),
        hands=dice.choice([0.0, 0.1]),
        sweep=dice.random() < (0.03 if short else 0.15),
    )


def _freezes(dice: random.Random, most: int) -> tuple[Freeze, ...]:
    requests = sorted(dice.randint(1, most) for _ in range(dice.choice([0, 1, 2, 3])))
    return tuple(Freeze(request, dice.random() < 0.5, dice.choice([4.0, 60.0, 60.0, 150.0])) for request in requests)


_Kind = Literal["fair", "rain", "storm", "lies", "streams"]
_KINDS: tuple[_Kind, ...] = ("fair", "rain", "rain", "storm", "lies", "streams")


def _weather(dice: random.Random, script_s: float) -> Weather:
    outages: tuple[tuple[float, float], ...] = ()
    if dice.random() < 0.25:
        begin_s = dice.uniform(0, script_s)
        outages = ((begin_s, begin_s + dice.choice([3.0, 40.0, 150.0])),)
    match dice.choice(_KINDS):
        case "fair":
            return Weather(outages=outages)
        case "rain":
            return Weather(
                before=0.04,
                after=0.03,
                conflict=0.03,
                delay=0.1,
                cut=0.01,
                double=0.05,
                late=0.05,
                silent=0.004,
                outages=outages,
            )
        case "storm":
            return Weather(before=0.3, after=0.15, conflict=0.1, delay=0.3, cut=0.05, outages=outages)
        case "lies":
            return Weather(after=0.3, double=0.2, outages=outages)
        case "streams":
            return Weather(delay=0.05, cut=0.06, double=0.2, late=0.3, silent=0.02, outages=outages)
