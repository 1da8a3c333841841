"""How Go reads an unquoted YAML scalar, and how it spells numbers as text."""

import math
import re
from typing import Any

_EXPONENT_FROM = 6
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INT = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]{1,16})|0[bB]([01]{1,64})|0[oO]?([0-7]{1,22})|(0|[1-9][0-9]{0,19}))", re.ASCII
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_POINT_FLOAT = re.compile(r"\.[0-9]+(?:[eE][-+]?[0-9]+)?", re.ASCII)


def resolve(text: str) -> Any:
    """Return what an unquoted scalar means: None, bool, int, float, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _float(text, text, _POINT_FLOAT)
    if first not in "+-0123456789":
        return text
    plain = text.replace("_", "") if "_" in text else text
    match = _INT.fullmatch(plain)
    if match:
        sign, hexa, binary, octal, decimal = match.groups()
        if hexa:
            number = int(hexa, 16)
        elif binary:
            number = int(binary, 2)
        else:
            number = int(octal, 8) if octal else int(decimal or "0")
        # Go tries int64, then uint64; ParseUint takes no sign.
        limit = 1 << 63 if sign == "-" else (1 << 63) - 1 if sign else (1 << 64) - 1
        if number <= limit:
            return -number if sign == "-" else number
    return _float(text, plain, _FLOAT)


def _float(text: str, plain: str, form: re.Pattern[str]) -> Any:
    if not form.fullmatch(plain):
        return text
    number = float(plain)
    return text if math.isinf(number) else number


def key_text(key: Any) -> str:
    """Return a mapping key as Go makes it a JSON key: `true` for `on`, `8` for `010`."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        return go_float(key)
    return str(key)


def go_float(number: float) -> str:
    """Spell a float as Go's %v and strconv's 'g': the shortest digits that read back the same.

    >>> go_float(1.10), go_float(100000.0), go_float(1e6), go_float(1e-7)
    ('1.1', '100000', '1e+06', '1e-07')
    """
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if math.isnan(number):
        return "NaN"
    mantissa, _, exponent = repr(number).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return sign + "0"
    power = point - 1
    if power < -4 or power >= _EXPONENT_FROM:
        rest = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"
