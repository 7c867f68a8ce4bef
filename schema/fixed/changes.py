"""In charge of what changed in the catalogue since a moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schema.fixed.enums import ChangeKind
from tanglai.catalogue.model import PublishedVersion, Snapshot
from tanglai.catalogue.scalars import ScalarType, to_json


@dataclass(frozen=True, slots=True)
class Event:
    """A version that came or, without a successor, went."""

    kind: ChangeKind
    at: datetime
    version: PublishedVersion

    @property
    def key(self) -> str:
        """Sorts by time, then by code and version; names the event."""
        moment = to_json(ScalarType.DATETIME, self.at)
        return f"{moment} {self.version.code} {self.version.version:09d} {self.kind.value}"


def events(snapshot: Snapshot, since: datetime) -> list[Event]:
    """What was published or retired after `since`, the oldest first."""
    found = (event for code in snapshot.history for event in resource_events(snapshot, code))
    return sorted((event for event in found if event.at > since), key=lambda event: event.key)


def resource_events(snapshot: Snapshot, code: str) -> Iterator[Event]:
    """All events of one resource. A version that a further one replaces does not count as retired."""
    versions = sorted(snapshot.history.get(code, ()), key=lambda version: version.version)
    for place, version in enumerate(versions):
        yield Event(ChangeKind.UPDATED if place else ChangeKind.PUBLISHED, version.published_at, version)
        following = versions[place + 1] if place + 1 < len(versions) else None
        gone = version.retired_at
        if gone is not None and (following is None or following.published_at > gone):
            yield Event(ChangeKind.RETIRED, gone, version)
