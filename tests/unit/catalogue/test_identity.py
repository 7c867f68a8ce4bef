"""Check digits, against codes computed by hand and by another formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tanglai.catalogue.identity import (
    CREDIT_ALPHABET,
    credit_check,
    is_credit_code,
    is_resident_number,
    resident_check,
)
from tests.unit.catalogue.strategies import UNHURRIED


@pytest.mark.parametrize(
    "code",
    [
        "91350100M000100Y43",  # the example of GB 32100
        "91330100799655058B",
        "9144030071526726XG",
        "12100000400002259P",
    ],
)
def test_credit_codes(code: str) -> None:
    assert is_credit_code(code)
    assert credit_check(code[:17]) == code[17]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "91350100M000100Y44",
        "91350100M000100Y4",
        "91350100M000100Y433",
        "91350100m000100y43",
        "9135010OM000100Y43",
        "91350100M000100Y43\n",
        "９1350100M000100Y43",
    ],
)
def test_what_is_no_credit_code(code: str) -> None:
    assert not is_credit_code(code)


bodies = st.text(CREDIT_ALPHABET, min_size=17, max_size=17)


@UNHURRIED
@given(bodies, st.integers(0, 17), st.sampled_from(CREDIT_ALPHABET))
def test_one_wrong_character_is_noticed(body: str, place: int, character: str) -> None:
    code = body + credit_check(body)
    assert is_credit_code(code)
    wrong = code[:place] + character + code[place + 1 :]
    assert is_credit_code(wrong) == (wrong == code)


@UNHURRIED
@given(bodies)
def test_the_weighted_sum_is_a_multiple_of_31(body: str) -> None:
    weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1]
    values = [CREDIT_ALPHABET.index(character) for character in body + credit_check(body)]
    assert sum(v * w for v, w in zip(values, weights, strict=True)) % 31 == 0


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_resident_numbers(number: str) -> None:  # the examples of GB 11643
    assert is_resident_number(number)
    assert resident_check(number[:17]) == number[17]


@pytest.mark.parametrize(
    "number",
    ["", "11010519491231002x", "110105194912310021", "11010519491231002", "11010519491231002XX", "1１010519491231002X"],
)
def test_what_is_no_resident_number(number: str) -> None:
    assert not is_resident_number(number)


@pytest.mark.parametrize("day", ["19490230", "19491301", "00000101", "20250229"])
def test_a_birth_date_must_exist(day: str) -> None:
    body = "110105" + day + "002"
    assert not is_resident_number(body + resident_check(body))


@UNHURRIED
@given(st.integers(10**16, 10**17 - 1).map(str))
def test_the_sum_is_one_modulo_11(body: str) -> None:
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1]
    check = resident_check(body)
    values = [int(digit) for digit in body] + [10 if check == "X" else int(check)]
    assert sum(v * w for v, w in zip(values, weights, strict=True)) % 11 == 1


@pytest.mark.parametrize("body", ["", "1" * 16, "1" * 18, "0" * 17, "x" * 17])
def test_bodies_of_the_wrong_form(body: str) -> None:
    with pytest.raises(ValueError, match="is not 17"):
        resident_check(body)
