"""docs/settings.md: one heading for each setting, in the order of the code, with the default that holds."""

import re
from pathlib import Path
from typing import Any

import pytest

from resolvers.limits import Limits
from tanglai.server.compose import limits_of
from tanglai.server.settings import PREFIX, Settings

TEXT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
NAMES = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def test_one_heading_each() -> None:
    assert re.findall(r"^### (\w+)$", TEXT, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_default_is_told(name: str) -> None:
    section = TEXT.partition(f"\n### {PREFIX}{name.upper()}\n")[2].partition("\n#")[0]
    default: Any = Settings.model_fields[name].default
    text = " ".join(section.split())
    if isinstance(default, bool):
        assert "Default off" in text
    elif default in ("", ()):
        assert "Default" not in text or "Default: none" in text
    elif default == 0:
        assert "0, the default" in text
    else:
        told = re.search(r"Default `?([^`;]+?)`?[.;](?:\s|$)", text)
        assert told is not None
        assert told[1] == (f"{default:g}" if isinstance(default, float) else str(default))


def test_the_gateways_limits_are_the_same() -> None:
    assert limits_of(Settings()) == Limits()
