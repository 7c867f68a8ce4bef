"""In charge of the rules that a catalogue is held to before publication: their ids, articles, and violations."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Severity(StrEnum):
    ERROR = "ERROR"  # nothing is published
    NOTICE = "NOTICE"  # published; somebody should look


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its id. `article` is where it comes from, for rules of form the guide or none."""

    id: str
    article: str
    title: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A place that breaks a rule. `line` counts from 1, 0 where there is no file; `path` is a JSON path for people."""

    file: str
    line: int
    path: str
    rule: str
    article: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        article = f", {self.article}" if self.article else ""
        return f"{place}{self.path}: {self.message} [{self.rule}{article}]"


GUIDE = "Guide 2017"
"""The guide for compiling catalogues of government information resources."""

_RULES = (
    Rule("file", "", "a file is UTF-8 YAML within bounds"),
    Rule("document", "", "a document is of its form"),
    Rule("duplicate", "", "one entry per code, key or id"),
    Rule("reference", "Art. 7", "what an entry refers to is in the catalogue"),
    Rule("state-secret", "Order 809 Art. 3", "state and work secrets are not government data and stay outside"),
    Rule("share-class", "Art. 9", "the class of a resource is the one that follows from its items"),
    Rule("condition", "Art. 9(2)", "a conditional entry says its condition"),
    Rule("not-shared-basis", "Art. 10(1)", "not shared needs a law, an administrative regulation or a central policy"),
    Rule("basic-item", "Art. 10(2)", "basic items of a base library are unconditional"),
    Rule("business-item", "Art. 10(2)", "an item of a base library is basic unless a reason says otherwise"),
    Rule("lead-department", "Art. 10(2)", "a basic resource is compiled by the base library's lead department"),
    Rule("theme-department", "Art. 10(3)", "a thematic resource is compiled by the theme's lead department"),
    Rule("one-authority", "Order 809 Art. 19", "one data element has one authoritative provider"),
    Rule("category", GUIDE, "code, category and branch of an entry agree"),
    Rule("credit-code", "GB 32100", "a department is identified by a unified social credit code"),
    Rule("division", "GB/T 2260", "a division is registered and valid today"),
    Rule("organisation", "Art. 4(3)", "a public-service enterprise provides through its department, no more"),
    Rule("active", "Art. 7", "departments that provide, compile or request are active"),
    Rule("zone", "Art. 5", "intranet and extranet stay apart"),
    Rule("source-department", "Art. 7", "a department provides data from its own sources"),
    Rule("retirement", "Art. 6", "an old exchange interface has a retirement date to come"),
    Rule("plain-secret", "", "secrets stand in the environment, not in the catalogue"),
    Rule("item", "", "items, masks and code lists of a resource are consistent"),
    Rule("mask", "Art. 9(2)", "masks are of texts, fit their content, and go from the weakest to the strongest"),
    Rule("key", "", "a key is made of different, comparable items of its resource"),
    Rule("handle", "", "a row handle is unique and carries no information of its own"),
    Rule("relation", "", "a relation has two ends that mirror each other"),
    Rule("graphql-name", "", "GraphQL names are valid and free"),
    Rule("binding", "Art. 7", "what is catalogued is what the source has"),
    Rule("grant", "Art. 11(3)", "a grant is over what its resource has"),
    Rule("grant-basis", "Art. 11(4)", "not-shared items are opened by consultation or coordination only"),
    Rule("grant-validity", "Art. 11(3)", "a grant ends after it starts"),
    Rule("time-limit", "Order 809 Art. 20", "a grant has a time limit"),
    Rule("scope-discloses", "Art. 11(3)", "a scope over an item that is not granted clear discloses that predicate"),
    Rule("mask-order", "Art. 9(2)", "masks of one item for one requester show no more together than one of them"),
    Rule("mask-discloses", "Art. 9(2)", "what a mask hides is not told by what else the requester can read"),
    Rule("statistics", "Art. 11(3)", "a grant for statistics publishes one cube, of codes and numbers"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _RULES})
"""Every rule by its id, in the order of docs/catalogue-files.md."""


def violation(
    rule: str, message: str, *, file: str = "", line: int = 0, path: str = "", severity: Severity = Severity.ERROR
) -> Violation:
    """A violation of the rule with id `rule`. Raises KeyError for an unknown id."""
    return Violation(file, line, path, rule, RULES[rule].article, message, severity)
