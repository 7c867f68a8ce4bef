"""Masks as renderings, and the order among them: checked against all short texts."""

import hashlib
import hmac
from functools import cache
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tanglai.catalogue.mask_kinds import FITTING, LONG, comparable, follows
from tanglai.catalogue.masks import Mask, MaskKind, hmac_pads, render
from tanglai.catalogue.model import Content
from tests.unit.catalogue.strategies import masks

LONGEST = 7
TEXTS = [
    "".join(letters) for length in range(LONGEST + 1) for letters in product("a@", repeat=length)
]  # two letters, one of which DOMAIN looks at
PARTIAL = [Mask(MaskKind.KEEP, prefix, suffix) for prefix in range(3) for suffix in range(3)] + [
    *(Mask(MaskKind.REGION, prefix) for prefix in range(4)),
    Mask(MaskKind.FIRST),
    Mask(MaskKind.DOMAIN),
    Mask(MaskKind.REDACT),
]
PSEUDONYM = Mask(MaskKind.PSEUDONYM)


@given(masks, st.text())
def test_a_mask_keeps_the_type_and_nulls(mask: Mask, value: str) -> None:
    shown = render(mask, value)
    assert isinstance(shown, str)
    assert render(mask, value) == shown
    assert render(mask, None) is None


@given(st.sampled_from([mask for mask in PARTIAL if mask != Mask(MaskKind.DOMAIN)]), st.characters())
@example(Mask(MaskKind.FIRST), "王")
def test_a_text_of_one_character_is_never_shown(mask: Mask, character: str) -> None:
    shown = render(mask, character)
    assert shown is not None
    assert set(shown) <= {"*"}


@given(masks.filter(lambda mask: mask.kind is MaskKind.KEEP), st.text())
def test_keep_shows_its_ends_or_nothing(mask: Mask, value: str) -> None:
    shown = render(mask, value)
    assert shown is not None
    assert len(shown) == len(value)
    if len(value) <= mask.prefix + mask.suffix:
        assert set(shown) <= {"*"}
    else:
        hidden = value[: mask.prefix] + "_" * (len(value) - mask.prefix - mask.suffix)
        assert render(mask, hidden + value[len(hidden) :]) == shown  # nothing between the ends matters


@pytest.mark.parametrize(
    ("address", "shown"),
    [("li.wei@nx.gov.cn", "***@nx.gov.cn"), ("a@b@c.cn", "***@c.cn"), ("li.wei", "***"), ("", "***"), ("@x", "***@x")],
)
def test_the_local_part_is_never_shown(address: str, shown: str) -> None:
    assert render(Mask(MaskKind.DOMAIN), address) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("银川市兴庆区解放街1号", "银川市兴庆区***"),
        ("银川市兴庆区解放街1号院2栋3单元4层502室", "银川市兴庆区***"),
        ("银川市兴庆", "***"),
        ("银川市兴庆区", "***"),
    ],
)
def test_an_address_shows_its_region_however_long_it_is(address: str, shown: str) -> None:
    assert render(Mask(MaskKind.REGION, 6), address) == shown


@given(st.binary(min_size=1, max_size=80), st.text())
def test_a_pseudonym_is_a_keyed_hash(key: bytes, value: str) -> None:
    """Not the plain hash, which anybody can compute for all numbers there are."""
    mask = Mask(MaskKind.PSEUDONYM, key=key)
    shown = render(mask, value)
    inner, outer = hmac_pads(key)
    digest = hashlib.sha256(outer + hashlib.sha256(inner + value.encode()).digest()).hexdigest()
    assert shown == hmac.new(key, value.encode(), "sha256").hexdigest()[:32] == digest[:32]
    assert shown != hashlib.sha256(value.encode()).hexdigest()[:32]
    assert shown != render(Mask(MaskKind.PSEUDONYM, key=key + b"x"), value)


# Which mask follows from which


@cache
def rendered(mask: Mask) -> tuple[str, ...]:
    return tuple(str(render(mask, text)) for text in TEXTS)


def is_function_of(coarse: Mask, fine: Mask, length: int) -> bool:
    """Whether the rendering of `coarse` is a function of that of `fine`, over all texts here of at least `length`."""
    seen: dict[str, str] = {}
    return all(
        seen.setdefault(shown, result) == result
        for text, shown, result in zip(TEXTS, rendered(fine), rendered(coarse), strict=True)
        if len(text) >= length
    )


@pytest.mark.parametrize("length", range(5))
def test_a_mask_follows_from_another_where_it_is_a_function_of_it(length: int) -> None:
    wrong = [
        (coarse, fine)
        for coarse, fine in product(PARTIAL, repeat=2)
        if follows(coarse, fine, length) != is_function_of(coarse, fine, length)
    ]
    assert wrong == []


@pytest.mark.parametrize("mask", PARTIAL)
def test_a_pseudonym_goes_with_what_shows_nothing(mask: Mask) -> None:
    nothing = len(set(rendered(mask))) == 1
    assert follows(mask, PSEUDONYM, 0) == comparable(mask, PSEUDONYM, 0) == nothing
    assert not follows(PSEUDONYM, mask, 0)
    assert follows(PSEUDONYM, PSEUDONYM, 0)


@pytest.mark.parametrize(
    ("one", "other", "length", "expected"),
    [
        (Mask(MaskKind.KEEP, 3, 0), Mask(MaskKind.KEEP, 0, 4), LONG, False),  # both ends: more than either
        (Mask(MaskKind.KEEP, 1, 2), Mask(MaskKind.KEEP, 3, 4), 0, False),  # five characters: only one shows any
        (Mask(MaskKind.KEEP, 1, 2), Mask(MaskKind.KEEP, 3, 4), 7, False),
        (Mask(MaskKind.KEEP, 1, 2), Mask(MaskKind.KEEP, 3, 4), 8, True),
        (Mask(MaskKind.KEEP, 1, 5), Mask(MaskKind.KEEP, 3, 4), LONG, False),
        (Mask(MaskKind.FIRST), Mask(MaskKind.KEEP, 1, 0), 0, True),
        (Mask(MaskKind.FIRST), Mask(MaskKind.DOMAIN), LONG, False),
    ],
)
def test_comparable_masks(one: Mask, other: Mask, length: int, expected: bool) -> None:
    assert comparable(one, other, length) == comparable(other, one, length) == expected


def test_what_is_recommended_fits() -> None:
    assert set(FITTING) == set(Content)
    for content, fitting in FITTING.items():
        assert fitting.fault(content, fitting.recommended) is None
        assert not fitting.exceeded(fitting.recommended)
        for mask in (PSEUDONYM, Mask(MaskKind.REDACT)):
            assert fitting.fault(content, mask) is None
