"""Options: secrets from the environment, errors and logs without them."""

import pytest

from connectors.failures import redacted
from connectors.options import Options, read, resolved


class Some(Options):
    name: str
    number: int = 1


def test_secrets_come_from_the_environment() -> None:
    options = {"a": {"env": "X"}, "b": [{"env": "Y"}, "plain"], "c": {"env": "X", "other": 1}}
    assert resolved(options, {"X": "x", "Y": "y"}) == {"a": "x", "b": ["y", "plain"], "c": {"env": "X", "other": 1}}
    with pytest.raises(ValueError, match="environment variable `Y` is not set"):
        resolved(options, {"X": "x"})


def test_errors_name_the_option_and_never_its_value() -> None:
    assert read(Some, {"name": {"env": "X"}}, {"X": "x"}) == Some(name="x")
    with pytest.raises(ValueError, match="option `number`: input should be a valid integer") as caught:
        read(Some, {"name": "n", "number": {"env": "SECRET"}}, {"SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match="option `more`"):
        read(Some, {"name": "n", "more": 1}, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('invalid input syntax for type integer: "张三"', "invalid input syntax for type integer: ?"),
        ("connection to 10.1.2.3:5432 failed", "connection to ?.?.?.?:? failed"),
        ("Key (name)=(张三) already exists", "Key ? already exists"),
    ],
)
def test_driver_texts_lose_their_literals(text: str, expected: str) -> None:
    assert redacted(text) == expected
