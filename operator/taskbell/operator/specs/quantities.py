"""Quantities in the form in which the API server stores them: whole numbers with the largest possible suffix."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_LEAST_BINARY = 1024


def canonical(quantity: str) -> str:
    """The stored form: `0.5` is `500m`, `1024Mi` is `1Gi`. A quantity in this form does not look like drift later."""
    number = quantity.rstrip("".join((*_DECIMAL, *_BINARY)))
    suffix = quantity.removeprefix(number)
    if suffix in _BINARY[1:]:
        size = Decimal(number) * 1024 ** _BINARY.index(suffix)
        if size >= _LEAST_BINARY and size == int(size):
            return _shortened(int(size), 1024, _BINARY)
    else:
        size = Decimal(number) * Decimal(1000) ** (_DECIMAL.index(suffix) - _DECIMAL.index(""))
    return _shortened(int((size * 10**9).to_integral_value(ROUND_CEILING)), 1000, _DECIMAL)


def _shortened(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    if number == 0:
        return "0"
    place = 0
    while number % base == 0 and place < len(suffixes) - 1:
        number //= base
        place += 1
    return f"{number}{suffixes[place]}"
