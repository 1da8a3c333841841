"""Kubernetes quantities as numbers. Pure.

Source: k8s.io/apimachinery pkg/api/resource Quantity, whose text core/quantity makes canonical.
"""

import math
import re
from fractions import Fraction

from prow_async.core import quantity

_PARTS = re.compile(r"([+-]?[0-9.]+)(.*)\Z")
_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"


def number(value: str | int | float) -> Fraction:
    """Return a quantity as a number. Raises quantity.QuantityError."""
    found = _PARTS.match(quantity.canonical(value))
    assert found is not None
    amount, suffix = Fraction(found.group(1)), found.group(2)
    if suffix.endswith("i"):
        return amount * Fraction(1024 ** (_BINARY.index(suffix[0]) + 1))
    if suffix[:1] in {"e", "E"} and len(suffix) > 1:
        return amount * _power_of_ten(int(suffix[1:]))
    return amount * _power_of_ten(_POWERS[suffix])


def in_units(value: str | int | float, divisor: str | int | float) -> int:
    """Return how many divisors a quantity holds, rounded up; a divisor of 0 counts as 1, as in the Kubernetes API."""
    return math.ceil(number(value) / (number(divisor) or 1))


def _power_of_ten(exponent: int) -> Fraction:
    return Fraction(10**exponent) if exponent >= 0 else Fraction(1, 10**-exponent)
