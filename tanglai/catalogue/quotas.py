"""In charge of what a quota counts, and of the day that it counts for."""

from dataclasses import dataclass
from datetime import date, datetime

from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.model import Quota


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows, requests and distinct subjects. Where a quota has no bound on one of them, that one is not counted: 0."""

    rows: int = 0
    requests: int = 0
    subjects: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.rows + other.rows, self.requests + other.requests, self.subjects + other.subjects)

    def __sub__(self, other: "Counts") -> "Counts":
        """What is left of each after `other`, never below 0."""
        return Counts(
            max(0, self.rows - other.rows),
            max(0, self.requests - other.requests),
            max(0, self.subjects - other.subjects),
        )

    def least(self, other: "Counts") -> "Counts":
        """The smaller one of each."""
        return Counts(
            min(self.rows, other.rows), min(self.requests, other.requests), min(self.subjects, other.subjects)
        )

    def __bool__(self) -> bool:
        return bool(self.rows or self.requests or self.subjects)

    def covers(self, other: "Counts") -> bool:
        """Whether there is at least as much of each as in `other`."""
        return self.rows >= other.rows and self.requests >= other.requests and self.subjects >= other.subjects

    def of(self, quota: Quota) -> "Counts":
        """Those that `quota` bounds."""
        return Counts(
            self.rows if quota.rows is not None else 0,
            self.requests if quota.requests is not None else 0,
            self.subjects if quota.subjects is not None else 0,
        )


_FIRST = datetime(1970, 1, 1, tzinfo=SHANGHAI)


def bounded(quota: Quota | None) -> bool:
    """Whether `quota` bounds anything."""
    return quota is not None and not (quota.rows is None and quota.requests is None and quota.subjects is None)


def day_of(moment: datetime) -> date:
    """The day of Asia/Shanghai in which `moment`, aware, lies: quotas are per such day."""
    return date.fromordinal(_FIRST.toordinal() + (moment - _FIRST).days)
