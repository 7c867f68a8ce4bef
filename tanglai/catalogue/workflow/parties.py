"""In charge of who may act in a matter: the parties to it and the roles of their people."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tanglai.catalogue.model import Department, Level, Snapshot


class Role(StrEnum):
    """What a token's `roles` may name; a role is held within the token's own department."""

    CATALOGUER = "cataloguer"  # keeps the department's catalogue
    APPLICANT = "applicant"  # applies, reports, states
    REVIEWER = "reviewer"  # answers for the department's data
    HEAD = "head"  # consents and approves for the department
    CLIENT_ADMINISTRATOR = "client-administrator"
    AUDITOR = "auditor"
    COORDINATOR = "coordinator"  # of a competent department: audits entries, decides disputes
    SUPERVISOR = "supervisor"  # of a competent department: obligations, evaluation
    OPERATOR = "operator"  # runs the node


class Party(StrEnum):
    """A department's part in one matter."""

    REQUESTER = "requester"
    PROVIDER = "provider"
    COORDINATOR = "coordinator"  # the competent department
    PLATFORM = "platform"  # nobody's department: the node by itself


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, and what holds while they do: one request's principal, moment and catalogue.

    `department` is a credit code, empty for the platform itself. `now` is aware and of the platform database's clock.
    `within` are the codes of the resources to which the token is narrowed, None where it is not: a client may be
    narrower than its department (Art. 11 paragraph 1), in what it does as in what it reads.
    """

    department: str
    client: str
    person: str | None
    roles: frozenset[str]
    now: datetime
    snapshot: Snapshot
    request_id: str
    node: str = "tanglai"
    within: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """Who it is within the department, for people: a person, or else a program."""
        return self.person or self.client

    def is_same(self, client: str, person: str | None) -> bool:
        """Whether somebody of the same department may be the same one.

        Two are told apart by their names, whatever bears them; a program without a person may be any that uses it.
        """
        if (person or client) == self.name:
            return True
        return (person is None or self.person is None) and client == self.client

    def holds(self, role: Role) -> bool:
        return role.value in self.roles

    def covers(self, resource: str | None) -> bool:
        """Whether the token is for what is done about `resource`; None: about the department as a whole."""
        return self.within is None or resource in self.within


def by_platform(snapshot: Snapshot, now: datetime, request_id: str, node: str = "tanglai") -> Acting:
    """The platform itself, for what the law lets nobody decide: a validity that ran out."""
    return Acting("", "platform", None, frozenset({Role.OPERATOR.value}), now, snapshot, request_id, node)


def competent_department(snapshot: Snapshot, code: str) -> Department | None:
    """The competent department of the level and area of the department `code` (Art. 4, 8); None where there is none.

    That of its own division, else of the nearest one around it: a county without one is its city's.
    """
    department = snapshot.departments.get(code)
    if department is None:
        return None
    return _nearest(snapshot, [department])


def common_superior(snapshot: Snapshot, parties: Iterable[str]) -> Department | None:
    """Who coordinates between departments (Art. 11 paragraph 4; Order 809 Art. 28).

    The competent department of their level; across levels or areas the lowest one whose area holds all of them. A
    party does not decide its own dispute, so a competent department that is a party leaves it to the one above.
    """
    found = [department for code in parties if (department := snapshot.departments.get(code)) is not None]
    return _nearest(snapshot, found, but=frozenset(department.code for department in found)) if found else None


_ORDER = (Level.COUNTY, Level.CITY, Level.REGION)
_DIGITS = {Level.REGION: 2, Level.CITY: 4, Level.COUNTY: 6}


def _nearest(snapshot: Snapshot, parties: list[Department], but: frozenset[str] = frozenset()) -> Department | None:
    lowest = max(_ORDER.index(department.level) for department in parties)
    for level in _ORDER[lowest:]:
        digits = _DIGITS[level]
        areas = {department.division[:digits] for department in parties}
        if len(areas) > 1:
            continue
        area = areas.pop()
        for department in sorted(snapshot.departments.values(), key=lambda d: d.code):
            if (
                department.competent
                and department.active
                and department.level is level
                and department.division[:digits] == area
                and department.code not in but
            ):
                return department
    return None
