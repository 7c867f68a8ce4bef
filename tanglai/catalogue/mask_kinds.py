"""In charge of which masks fit which content, and of whether what one mask shows follows from what another shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Item
from tanglai.catalogue.scalars import ScalarType

_TEXT = frozenset({ScalarType.TEXT})
_CODED = frozenset({ScalarType.TEXT, ScalarType.INTEGER, ScalarType.LONG})
TYPES: Mapping[Content, frozenset[ScalarType]] = MappingProxyType(
    dict.fromkeys(Content, _TEXT)
    | {
        Content.BIRTH_DATE: frozenset({ScalarType.TEXT, ScalarType.DATE, ScalarType.DATETIME}),
        Content.BIRTH_YEAR: _CODED,
        Content.SEX: _CODED | {ScalarType.BOOLEAN},
        Content.DIVISION: _CODED,
    }
)
"""The scalar types that an item of a content can have."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """The masks that fit a content besides PSEUDONYM and REDACT, which fit any.

    `recommended` is the mask to be taken where nothing speaks for another; a mask that shows more is told. `shown` and
    `suffix`: most characters that a mask may show, and of them at the end. `length`: fewest characters of a well-formed
    value, 0 where there is no such bound.
    """

    kind: MaskKind | None
    recommended: Mask
    shown: int = 0
    suffix: int = 0
    length: int = 0

    def fault(self, content: Content, mask: Mask) -> str | None:
        """Why `mask` does not fit, None where it does."""
        if mask.kind in (MaskKind.PSEUDONYM, MaskKind.REDACT):
            return None
        if mask.kind is not self.kind:
            kinds = [kind.lower() for kind in (self.kind, MaskKind.PSEUDONYM, MaskKind.REDACT) if kind]
            return f"`{mask.kind.lower()}` does not fit {content}, for which there are {', '.join(kinds)}"
        if mask.prefix + mask.suffix > self.shown:
            return f"a mask of {content} shows at most {self.shown} characters"
        if mask.suffix > self.suffix:
            return f"a mask of {content} shows at most {self.suffix} characters at the end"
        return None

    def exceeded(self, mask: Mask) -> bool:
        """Whether `mask`, which fits, shows more than the recommended one."""
        if mask.kind is not self.recommended.kind:
            return False
        return mask.prefix > self.recommended.prefix or mask.suffix > self.recommended.suffix


_HIDDEN = Fitting(None, Mask(MaskKind.REDACT))
FITTING: Mapping[Content, Fitting] = MappingProxyType(
    {
        # What of a number may be shown is counted: `tanglai.catalogue.mask_candidates`. Numbers of old cards have 15.
        Content.IDENTITY_NUMBER: Fitting(MaskKind.KEEP, Mask(MaskKind.KEEP, 1, 2), shown=17, suffix=17, length=15),
        Content.CREDIT_CODE: Fitting(MaskKind.KEEP, Mask(MaskKind.KEEP, 8, 0), shown=14, suffix=6, length=18),
        Content.NAME: Fitting(MaskKind.FIRST, Mask(MaskKind.FIRST)),
        Content.MOBILE: Fitting(MaskKind.KEEP, Mask(MaskKind.KEEP, 3, 4), shown=7, suffix=4, length=11),
        # The longest region of Ningxia, down to the county, has 15 characters.
        Content.ADDRESS: Fitting(MaskKind.REGION, Mask(MaskKind.REGION, 9), shown=15),
        Content.EMAIL: Fitting(MaskKind.DOMAIN, Mask(MaskKind.DOMAIN)),
        Content.BANK_ACCOUNT: Fitting(MaskKind.KEEP, Mask(MaskKind.KEEP, 0, 4), shown=8, suffix=4, length=12),
        Content.BIRTH_DATE: _HIDDEN,
        Content.BIRTH_YEAR: _HIDDEN,
        Content.SEX: _HIDDEN,
        Content.DIVISION: Fitting(MaskKind.KEEP, Mask(MaskKind.KEEP, 4, 0), shown=4, length=6),
    }
)


def words(mask: Mask) -> str:
    """`mask` for people, in the words of catalogue files: `keep 1 + 2`."""
    match mask.kind:
        case MaskKind.KEEP:
            return f"keep {mask.prefix} + {mask.suffix}"
        case MaskKind.REGION:
            return f"region {mask.prefix}"
        case kind:
            return kind.lower()


LONG = 1 << 30
"""A length that no mask reaches: two masks are put in order by what they show of long texts."""


def least_length(item: Item) -> int:
    """Fewest characters of a well-formed value of `item`."""
    return FITTING[item.content].length if item.content else 0


def follows(coarse: Mask, fine: Mask, length: int) -> bool:
    """Whether what `coarse` shows of a text can be told from what `fine` shows of it, for any text.

    Then both together show no more than `fine` alone. `length`: fewest characters of the texts in question. It matters
    because a mask that shows part hides all of a shorter text: keep 1 + 2 shows of a text of five characters what
    keep 3 + 4 hides. A pseudonym tells nothing of its text and joins rows, so nothing else follows from it, nor it from
    anything.
    """
    if coarse == fine or coarse.kind is MaskKind.REDACT or coarse == Mask(MaskKind.REGION):
        return True
    if {coarse.kind, fine.kind} <= {MaskKind.KEEP, MaskKind.REGION, MaskKind.FIRST}:
        return _part_follows(coarse, fine, length)
    return False


def _part_follows(coarse: Mask, fine: Mask, length: int) -> bool:
    if coarse.kind is MaskKind.KEEP and fine.kind is not MaskKind.KEEP:
        return False  # only KEEP shows how long a text is
    shown, hidden = _shown(coarse), _shown(fine)
    if shown[0] > hidden[0] or shown[1] > hidden[1]:
        return False
    return sum(shown) in (0, sum(hidden)) or length > sum(hidden)


def _shown(mask: Mask) -> tuple[int, int]:
    """Characters shown at the start and at the end of a text that has more than both together."""
    return (1, 0) if mask.kind is MaskKind.FIRST else (mask.prefix, mask.suffix)


def comparable(one: Mask, other: Mask, length: int) -> bool:
    """Whether both masks together show no more than one of them, of texts of at least `length` characters."""
    return follows(one, other, length) or follows(other, one, length)
