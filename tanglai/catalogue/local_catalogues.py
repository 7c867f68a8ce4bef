"""In charge of local catalogues: the entries of one government's departments together (Art. 8)."""

from collections.abc import Iterator
from dataclasses import dataclass

from tanglai.catalogue.model import Department, Level, Resource, Snapshot


@dataclass(frozen=True, slots=True, order=True)
class Government:
    """A government: its level and the code of its division."""

    level: Level
    division: str

    @property
    def key(self) -> str:
        """Names it: `CITY/640100`."""
        return f"{self.level.value}/{self.division}"


def government(department: Department) -> Government:
    """The government that `department` belongs to."""
    return Government(department.level, department.division)


def governments(snapshot: Snapshot) -> list[Government]:
    """Every government with a department, the region first, then cities, then counties, by division."""
    found = {government(department) for department in snapshot.departments.values()}
    return sorted(found, key=lambda it: (list(Level).index(it.level), it.division))


def departments_of(snapshot: Snapshot, of: Government) -> list[Department]:
    """The departments of a government, by credit code."""
    return [it for _, it in sorted(snapshot.departments.items()) if government(it) == of]


def resources_of(snapshot: Snapshot, of: Government) -> list[Resource]:
    """The published entries of a government's departments, of both zones, by code. An entry is its provider's."""
    codes = {department.code for department in departments_of(snapshot, of)}
    return [resource for _, resource in sorted(snapshot.resources.items()) if resource.provider in codes]


def connected_to(snapshot: Snapshot, of: Government) -> Government | None:
    """The region's, which those of cities and counties are connected to (Art. 8); None for the region's own."""
    if of.level is Level.REGION:
        return None
    region = f"{of.division[:2]}0000"
    return next((it for it in governments(snapshot) if it == Government(Level.REGION, region)), None)


def connected(snapshot: Snapshot, of: Government) -> Iterator[Government]:
    """Those that are connected to the one given: of a region's, the catalogues of its cities and counties."""
    return (it for it in governments(snapshot) if it != of and connected_to(snapshot, it) == of)
