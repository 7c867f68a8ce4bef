"""In charge of the rules on departments, divisions, categories and sources."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_world import Finding, World
from tanglai.catalogue.divisions import successors
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.identity import is_credit_code
from tanglai.catalogue.model import Branch, Category, Department, Division, Level, OrganisationKind, Source

BRANCH_DIGITS = {Branch.BASIC: "1", Branch.THEMATIC: "2", Branch.DEPARTMENTAL: "3"}
"""First digit (类) of a category's code by branch (guide of 2017)."""

_SECRET_NAMES = frozenset(
    {
        *("password", "passwd", "pwd", "passphrase", "secret", "appsecret", "clientsecret", "secretkey", "privatekey"),
        *("token", "accesstoken", "authtoken", "bearertoken", "refreshtoken", "apikey", "appkey", "accesskey"),
        *("authorization", "credential", "credentials"),
    }
)
_CREDENTIALS_IN_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def department_findings(department: Department, world: World) -> Iterator[Finding]:
    if not is_credit_code(department.code):
        yield Finding("credit-code", ("code",), f"`{department.code}` is no unified social credit code")
    others = [code for code in world.keys[department.key] if code != department.code]
    if others:
        yield Finding("duplicate", ("key",), f"department `{others[0]}` has the key `{department.key}` too")
    yield from world.division_faults(department.division, ("division",))
    if department.competent and department.kind is not OrganisationKind.DEPARTMENT:
        message = "a competent department is a department of the government"
        yield Finding("organisation", ("competent",), message)


def division_findings(division: Division, world: World) -> Iterator[Finding]:
    if division.valid_to is not None and division.valid_to <= division.valid_from:
        yield Finding("division", ("validTo",), "`validTo` is not after `validFrom`")
    if division.successor is None:
        return
    if division.valid_to is None:
        yield Finding("division", ("successor",), "a division with a successor has an end, `validTo`")
    if division.successor not in world.divisions:
        yield Finding("division", ("successor",), f"unknown division `{division.successor}`")
    elif successors(division.code, world.divisions) is None:
        yield Finding("division", ("successor",), "the successors run in a circle")


def category_findings(category: Category, world: World) -> Iterator[Finding]:
    yield from _leads(category, world)
    if category.parent is None:
        return
    if category.parent not in world.categories:
        yield Finding("reference", ("parent",), f"unknown category `{category.parent}`")
    if not category.code.startswith(category.parent) or category.code == category.parent:
        message = f"the code `{category.code}` does not continue that of its parent, `{category.parent}`"
        yield Finding("category", ("code",), message)


def _leads(category: Category, world: World) -> Iterator[Finding]:
    """Base libraries and themes have lead departments, one for each government (Art. 10(2), 10(3))."""
    rule = "lead-department" if category.code.startswith(BRANCH_DIGITS[Branch.BASIC]) else "theme-department"
    if category.leads and category.code.startswith(BRANCH_DIGITS[Branch.DEPARTMENTAL]):
        yield Finding(rule, ("leads",), "only base libraries and themes have lead departments")
    governments: dict[tuple[Level, str], str] = {}
    for index, lead in enumerate(category.leads):
        path: Path = ("leads", index)
        yield from world.department_faults(lead, path)
        if world.is_enterprise(lead):
            yield Finding("organisation", path, f"`{lead}` is a public-service enterprise and leads nothing")
        department = world.departments.get(lead)
        if department is not None:
            other = governments.setdefault((department.level, department.division), lead)
            if other != lead or lead in category.leads[:index]:
                message = f"departments `{other}` and `{lead}` of one government lead the same category"
                yield Finding(rule, path, message)


def source_findings(source: Source, world: World) -> Iterator[Finding]:
    yield from world.department_faults(source.department, ("department",))
    yield from plain_secrets(source.options, ("options",))
    if source.retirement is not None and source.retirement <= world.today:
        message = f"the interface was to be retired on {source.retirement}"
        yield Finding("retirement", ("retirement",), message, Severity.NOTICE)
    if source.retirement is None and (source.successor is not None or source.retirement_note is not None):
        yield Finding("retirement", ("retirement",), "a successor or a note is of an interface with a retirement date")
    successor = source.successor
    if successor == source.key:
        yield Finding("retirement", ("successor",), "nothing takes the place of itself")
    elif successor is not None and successor not in world.sources and successor not in world.resources:
        yield Finding("reference", ("successor",), f"unknown source or resource `{successor}`")


def plain_secrets(options: Any, path: Path) -> Iterator[Finding]:
    """Options that look like a secret in plain text; `{env: NAME}` is the way."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            if _is_secret_name(str(name)) and value not in (None, "") and not _from_environment(value):
                message = f"`{str(name)[:100]}` stands in plain text; write `{{env: NAME}}`"
                yield Finding("plain-secret", (*path, name), message)
            else:
                yield from plain_secrets(value, (*path, name))
    elif isinstance(options, list | tuple):
        for index, value in enumerate(options):
            yield from plain_secrets(value, (*path, index))
    elif isinstance(options, str) and _CREDENTIALS_IN_URL.search(options):
        yield Finding("plain-secret", path, "a password stands in an address; write `{env: NAME}`")


def _is_secret_name(name: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", name.lower()) in _SECRET_NAMES


def _from_environment(value: Any) -> bool:
    return isinstance(value, Mapping) and list(value) == ["env"] and isinstance(value["env"], str)
