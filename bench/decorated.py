"""How long a decorated job that does nothing takes on the embedded default, and how much of that is our own doing."""

import statistics
from collections.abc import Callable, Sequence

import msgspec

from bench import decorated_child, processes
from bench.jobs import quantile
from bench.results import Decorated, Spread

PATIENCE_S = 600.0
Say = Callable[[str], None]


def measure(jobs: int, say: Say) -> Decorated:
    """Run jobs one after another, each in turn with its git commands by hand. Raises Broken."""
    say(f"decorated jobs: {jobs}, one after another, each beside its git commands and its test alone")
    said = processes.run(processes.module("bench.decorated_child", str(jobs)), PATIENCE_S)
    found = msgspec.json.decode(said.splitlines()[-1], type=list[decorated_child.Found])

    def spread(values: Sequence[float]) -> Spread:
        ordered = sorted(values)
        return Spread(quantile(ordered, 0.5), quantile(ordered, 0.99))

    return Decorated(
        jobs=len(found),
        whole_ms=spread([one.whole_ms for one in found]),
        git_ms=spread([one.git_ms for one in found]),
        test_ms=spread([one.test_ms for one in found]),
        own_ms=spread([one.whole_ms - one.git_ms - one.test_ms for one in found]),
        bare_ms=spread([one.bare_ms for one in found]),
        ratio=round(statistics.median(one.whole_ms / one.bare_ms for one in found), 2),
    )
