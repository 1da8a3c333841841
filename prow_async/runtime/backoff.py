"""How long to wait before the next try. Pure arithmetic: the random number comes in as a function."""

import random
from collections.abc import Callable


class Backoff:
    """Exponential waits with full jitter in the upper half: between half and all of the current ceiling.

    Args:
        first_s: ceiling of the first wait.
        cap_s: no ceiling grows beyond this.
        rng: gives numbers in [0, 1); tests hand in their own.
    """

    def __init__(
        self,
        first_s: float = 0.5,
        cap_s: float = 30.0,
        factor: float = 2.0,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.first_s = first_s
        self.cap_s = cap_s
        self.factor = factor
        self.rng = rng

    def wait_s(self, failures: int) -> float:
        """Return the wait after `failures` failures in a row (1 is the first)."""
        ceiling = min(self.cap_s, self.first_s * self.factor ** min(max(failures - 1, 0), 64))
        return ceiling * (0.5 + 0.5 * self.rng())
