"""In charge of the check digits by which departments, companies and residents are told from typing errors."""

import re
from datetime import date

CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_BODY = re.compile(f"[{CREDIT_ALPHABET}]{{17}}", re.ASCII)
_RESIDENT_BODY = re.compile(r"[1-9][0-9]{16}", re.ASCII)
_RESIDENT_CHECKS = "10X98765432"


def credit_check(body: str) -> str:
    """The 18th character of a unified social credit code (GB 32100) whose first 17 are `body`.

    Raises ValueError where `body` is not 17 characters of the code's alphabet, which has no I, O, S, V and Z.
    """
    if not _CREDIT_BODY.fullmatch(body):
        raise ValueError(f"`{body}` is not 17 characters of `{CREDIT_ALPHABET}`")
    total = sum(CREDIT_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(body))
    return CREDIT_ALPHABET[-total % 31]


def is_credit_code(code: str) -> bool:
    """Whether `code` is a unified social credit code: 18 characters of its alphabet, the last one the right check."""
    return _CREDIT_BODY.fullmatch(code[:17]) is not None and code[17:] == credit_check(code[:17])


def resident_check(body: str) -> str:
    """The 18th character of a resident number (GB 11643) whose first 17 digits are `body`. Raises ValueError."""
    if not _RESIDENT_BODY.fullmatch(body):
        raise ValueError(f"`{body}` is not 17 digits")
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return _RESIDENT_CHECKS[total % 11]


def is_resident_number(number: str) -> bool:
    """Whether `number` is a resident number: area, a day that exists, order, and the right check (capital X)."""
    if not _RESIDENT_BODY.fullmatch(number[:17]) or number[17:] != resident_check(number[:17]):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return True
