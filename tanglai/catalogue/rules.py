"""In charge of rule sets: what a regulation says, read from data files, so that no number of the law stands in code."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files

from tanglai.catalogue.model import ShareClass


class UnconditionalUse(StrEnum):
    """How unconditional items are taken: directly (Measures Art. 11(2)) or on application (Order 809 Art. 21)."""

    DIRECT = "DIRECT"
    APPLICATION = "APPLICATION"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One regulation in one version. `reply_within` counts working days; `articles` maps an error code or allowance.

    `citations` maps each article that `articles` cites to how Chinese cites it (第十一条第三款); empty: the whole text.
    """

    id: str
    version: int
    title: str
    title_en: str
    effective_from: date
    unconditional: UnconditionalUse
    reply_within: Mapping[ShareClass, int]
    articles: Mapping[str, str]
    citations: Mapping[str, str]

    @property
    def unconditional_is_direct(self) -> bool:
        return self.unconditional is UnconditionalUse.DIRECT


@cache
def rule_set(name: str) -> RuleSet:
    """The rule set `name` (`ningxia-measures`, `order-809`). Raises ValueError for a name without a file."""
    folder = files("tanglai.catalogue.rulesets")
    known = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if name not in known:
        raise ValueError(f"unknown rule set `{name}`, known are {', '.join(f'`{k}`' for k in known)}")
    data = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    return RuleSet(
        id=data["id"],
        version=data["version"],
        title=data["title"],
        title_en=data["title_en"],
        effective_from=data["effective_from"],
        unconditional=UnconditionalUse(data["unconditional"]),
        reply_within={ShareClass(k): v for k, v in data["reply_within"].items()},
        articles=data["articles"],
        citations=data["citations"],
    )
