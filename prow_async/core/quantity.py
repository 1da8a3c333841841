"""Kubernetes quantities (`500m`, `1.5Gi`, `4`) in the canonical form the API server stores them in.

Source: k8s.io/apimachinery pkg/api/resource Quantity.
"""

import re

_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_FINEST = -9
_EXACT_DIGITS = 18
_CAP = (1 << 63) - 1
_MAX_DIGITS = 100


class QuantityError(ValueError):
    """The text is no quantity. Tell the person who wrote it."""


def canonical(value: str | int | float) -> str:
    """Return the canonical text of a quantity as YAML gave it. Rounded up to billionths.

    Raises: QuantityError.

    >>> canonical("1000m"), canonical("0.5"), canonical("1.5Gi"), canonical(4), canonical("1e3"), canonical("1500k")
    ('1', '500m', '1536Mi', '4', '1e3', '1500k')
    """
    text = _text(value)
    found = _FORM.fullmatch(text.strip())
    sign, whole, fraction, suffix = found.groups() if found else ("", "", "", "")
    if not (whole or fraction) or len(whole) + len(fraction or "") > _MAX_DIGITS:
        raise QuantityError(f'"{text}" is no quantity; write a number and one of n u m k M G T P E Ki Mi Gi Ti Pi Ei')
    shifted = (whole.lstrip("0") or "0") + (fraction or "")
    scale = -len(fraction or "")
    if suffix.endswith("i"):
        minus = "-" if sign == "-" and int(shifted) else ""
        return minus + _binary(int(shifted) << 10 * _BINARY.index(suffix), scale)
    exponent = suffix[:1] in ("e", "E") and len(suffix) > 1
    scale += int(suffix[1:]) if exponent else _DECIMAL[suffix]
    if _is_kept(shifted, scale):
        return text.strip()
    amount, scale = _rounded(int(shifted), scale)
    return ("-" if sign == "-" and amount else "") + _decimal(amount, scale, exponent)


def _text(value: str | int | float) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _is_kept(digits: str, scale: int) -> bool:
    """Say whether Kubernetes takes a decimal spelling for canonical already (it is generous) and keeps it."""
    exact = digits[:1] not in ("", "0") and len(digits) <= _EXACT_DIGITS and scale >= _FINEST
    return exact and scale % 3 == 0 and not digits.endswith("000")


def _rounded(digits: int, scale: int) -> tuple[int, int]:
    """Strip zeros and keep at most nine places, rounding up."""
    if scale < _FINEST:
        digits, scale = -(-digits // 10 ** (_FINEST - scale)), _FINEST
    while digits and digits % 10 == 0:
        digits //= 10
        scale += 1
    return (digits, scale) if digits else (0, 0)


def _binary(digits: int, scale: int) -> str:
    amount, scale = _rounded(digits, scale)
    if scale < 0 and amount > _CAP * 10**-scale:
        amount, scale = _CAP, 0
    if scale < 0 or amount * 10**scale < 1024:
        return _decimal(amount, scale, exponent=False)
    whole, steps = min(amount * 10**scale, _CAP), 0
    while whole % 1024 == 0 and steps < len(_BINARY) - 1:
        whole //= 1024
        steps += 1
    return f"{whole}{_BINARY[steps]}"


def _decimal(amount: int, scale: int, exponent: bool) -> str:
    while scale % 3 or (scale > 18 and not exponent):
        amount *= 10
        scale -= 1
    if exponent:
        return f"{amount}e{scale}" if scale else str(amount)
    return f"{amount}{_DECIMAL_SUFFIX[scale]}"
