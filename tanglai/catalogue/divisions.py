"""In charge of which division codes lie within a division, codes of former divisions included.

Return flow gives a lower level the data about its own area (Order 809 Art. 24). Codes change over time and old rows
carry old codes, so a former division counts to the area that its successors lead to, and only to that.
"""

import re
from collections.abc import Mapping

from tanglai.catalogue.model import Division

_CODE = re.compile(r"[1-9][0-9]{5}", re.ASCII)


def is_division_code(code: str) -> bool:
    """Whether `code` has the form of a division code (GB/T 2260): six digits, the first not zero."""
    return _CODE.fullmatch(code) is not None


def territory(code: str) -> str:
    """The digits that the codes of all divisions in `code` begin with: 640000 gives 64, 640100 6401, 640104 itself."""
    if code.endswith("0000"):
        return code[:2]
    return code[:4] if code.endswith("00") else code


def division_prefixes(code: str, divisions: Mapping[str, Division]) -> tuple[str, ...]:
    """Prefixes such that a row's division code lies within `code` iff it begins with one of them, sorted.

    That is the division's own territory and each former division whose successors lead to it or into it; without each
    former division whose successors lead out of it, although its code begins alike. Codes longer than six digits
    (townships) go with the six. Raises ValueError where `code` is no division code.
    """
    if not is_division_code(code):
        raise ValueError(f"`{code}` is no division code")
    inside = {territory(code): True}
    for division in divisions.values():
        if division.code != code and (division.successor is not None or division.valid_to is None):
            inside[territory(division.code)] = _leads_to(division, code, divisions)
    inside[territory(code)] = True
    changes = {prefix: here for prefix, here in inside.items() if here is not _above(prefix, inside)}
    taken = [prefix for prefix, here in changes.items() if here]
    cut = [prefix for prefix, here in changes.items() if not here]
    return tuple(sorted(part for prefix in taken for part in _without(prefix, cut)))


def successors(code: str, divisions: Mapping[str, Division]) -> tuple[str, ...] | None:
    """`code` and the codes that came after it, in order of time; None where they run in a circle."""
    chain = [code]
    while (division := divisions.get(chain[-1])) is not None and division.successor is not None:
        if division.successor in chain:
            return None
        chain.append(division.successor)
    return tuple(chain)


def _leads_to(division: Division, code: str, divisions: Mapping[str, Division]) -> bool:
    """Whether the division is `code` by now or lies within it. INVARIANT: a circle leads nowhere (fail closed)."""
    chain = successors(division.code, divisions)
    return chain is not None and (code in chain or chain[-1].startswith(territory(code)))


def _above(prefix: str, inside: Mapping[str, bool]) -> bool:
    """What holds for `prefix` by the nearest larger territory."""
    return next((inside[prefix[:n]] for n in range(len(prefix) - 1, 0, -1) if prefix[:n] in inside), False)


def _without(prefix: str, cut: list[str]) -> list[str]:
    """Prefixes that cover `prefix` but for those of `cut`."""
    if prefix in cut:
        return []
    below = [other for other in cut if other.startswith(prefix)]
    if not below:
        return [prefix]
    return [part for digit in "0123456789" for part in _without(prefix + digit, below)]
