"""In charge of the identifiers of the demo region and of their check digits."""

from datetime import date
from functools import cache

_RESIDENT_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
_RESIDENT_CHECKS = "10X98765432"
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(3**place % 31 for place in range(17))
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES = {
    **{str(n): n for n in range(10)},
    **dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "12345678123457923456789"), strict=True)),
}


@cache
def _weighed(digits: str, place: int) -> int:
    return sum(int(digit) * _RESIDENT_WEIGHTS[place + n] for n, digit in enumerate(digits))


def resident_number(area: str, birth: date, order: int) -> str:
    """A resident identity number (GB 11643): 6 digits area, 8 birth date, 3 order (odd: male), check mod 11."""
    day, sequence = _compact(birth), _order(order)
    total = _weighed(area, 0) + _weighed(day, 6) + _weighed(sequence, 14)
    return area + day + sequence + _RESIDENT_CHECKS[total % 11]


@cache
def _compact(day: date) -> str:
    return day.strftime("%Y%m%d")


@cache
def _order(order: int) -> str:
    return f"{order:03d}"


def organisation_code(body: str) -> str:
    """An organisation code (GB 11714): `body` of 8 characters and its check character."""
    total = sum(_ORGANISATION_ALPHABET.index(c) * w for c, w in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return body + "0123456789X0"[11 - total % 11]


def credit_code(kind: str, division: str, body: str) -> str:
    """A unified social credit code (GB 32100): `kind` of registrar and organisation (`11` a government organ, `91` a
    company), division, organisation code of `body` (8 characters) with its check, and the check character."""
    head = kind + division + organisation_code(body)
    total = sum(_CREDIT_ALPHABET.index(c) * w for c, w in zip(head, _CREDIT_WEIGHTS, strict=True))
    return head + _CREDIT_ALPHABET[-total % 31]


def vehicle_number(maker: str, model: str, serial: int) -> str:
    """A vehicle identification number (GB 16735): 3 characters maker, 5 model, check, year, plant, 6 serial."""
    tail = f"RN{serial:06d}"
    total = sum(_VIN_VALUES[c] * w for c, w in zip(f"{maker}{model}0{tail}", _VIN_WEIGHTS, strict=True))
    return f"{maker}{model}{'0123456789X'[total % 11]}{tail}"
