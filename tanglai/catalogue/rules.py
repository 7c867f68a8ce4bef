"""In charge of rule sets: what a regulation says, read from data files, so that no number of the law stands in code."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from tanglai.catalogue.model import ShareClass


class UnconditionalUse(StrEnum):
    """How unconditional items are taken: directly (Measures Art. 11(2)) or on application (Order 809 Art. 21)."""

    DIRECT = "DIRECT"
    APPLICATION = "APPLICATION"


class DeadlineKind(StrEnum):
    """What somebody has to do in time."""

    REPLY = "REPLY"
    """The provider's reply to an application."""
    OBLIGATION = "OBLIGATION"
    """The catalogue's update after a change of law or functions."""
    AUDIT = "AUDIT"
    """The competent department's audit and publication of an entry."""
    CORRECTION = "CORRECTION"
    """The provider's answer to doubted data."""
    SUPPLY = "SUPPLY"
    """The provider's supply after an approval."""
    COMPLIANCE = "COMPLIANCE"
    """The correction period of a suspended grant, whose days the suspension gives."""
    CONSULTATION = "CONSULTATION"
    """The provider's position in a consultation. No text sets a time; after it the requester need not wait longer."""


@dataclass(frozen=True, slots=True)
class DeadlineRule:
    """How long one kind of deadline is, in working days; `article` is the rule's.

    `by_class` goes before `days`, which is None where no figure holds for every class, or where the act gives the days.
    `extension`: how many days may be added once with consent, None for none; `pauses`: the clock stands while the
    requester has to supply something.
    """

    kind: DeadlineKind
    days: int | None
    by_class: Mapping[ShareClass, int]
    extension: int | None
    pauses: bool
    article: str

    def working_days(self, share_class: ShareClass | None = None) -> int | None:
        """The days that hold for `share_class`; None where the rule leaves them to the act, or says none for it."""
        return self.by_class.get(share_class, self.days) if share_class is not None else self.days


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One regulation in one version. `articles` maps an error code or allowance to the article behind it.

    `deadlines` has the kinds that this regulation sets a time for; `reminders` are working days before a due date, in
    descending order, at which one is reminded. `reply_within` is the reply's deadline by share class, 0 for what is
    taken without asking. `citations` maps each article that is cited to how Chinese cites it (第十一条第三款); empty:
    the whole text.
    """

    id: str
    version: int
    title: str
    title_en: str
    effective_from: date
    unconditional: UnconditionalUse
    deadlines: Mapping[DeadlineKind, DeadlineRule]
    reminders: tuple[int, ...]
    articles: Mapping[str, str]
    citations: Mapping[str, str]
    reply_within: Mapping[ShareClass, int] = field(init=False)

    def __post_init__(self) -> None:
        taken = {ShareClass.UNCONDITIONAL: 0} if self.unconditional_is_direct else {}
        within = MappingProxyType(taken | dict(self.deadlines[DeadlineKind.REPLY].by_class))
        object.__setattr__(self, "reply_within", within)

    @property
    def unconditional_is_direct(self) -> bool:
        return self.unconditional is UnconditionalUse.DIRECT


def rule_set_names() -> tuple[str, ...]:
    """The rule sets that there are, in alphabetical order."""
    entries = files("tanglai.catalogue.rulesets").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")))


@cache
def rule_set(name: str) -> RuleSet:
    """The rule set `name` (`ningxia-measures`, `order-809`). Raises ValueError for a name without a file."""
    known = rule_set_names()
    if name not in known:
        raise ValueError(f"unknown rule set `{name}`, known are {', '.join(f'`{k}`' for k in known)}")
    data = tomllib.loads(files("tanglai.catalogue.rulesets").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return RuleSet(
        id=data["id"],
        version=data["version"],
        title=data["title"],
        title_en=data["title_en"],
        effective_from=data["effective_from"],
        unconditional=UnconditionalUse(data["unconditional"]),
        deadlines=MappingProxyType(_deadlines(data["deadlines"])),
        reminders=tuple(sorted(data["reminders"], reverse=True)),
        articles=data["articles"],
        citations=data["citations"],
    )


def _deadlines(data: Mapping[str, Any]) -> dict[DeadlineKind, DeadlineRule]:
    return {
        DeadlineKind(kind): DeadlineRule(
            kind=DeadlineKind(kind),
            days=rule.get("days"),
            by_class=MappingProxyType({ShareClass(name): days for name, days in rule.get("by_class", {}).items()}),
            extension=rule.get("extension"),
            pauses=rule.get("pauses", False),
            article=rule["article"],
        )
        for kind, rule in data.items()
    }
