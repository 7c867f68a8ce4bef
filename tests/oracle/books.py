"""In charge of what a platform keeps between operations, in the oracle: published cubes, and what is used of quotas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tanglai.catalogue.model import Grant, Quota
from tests.oracle.cubes import Cell


def day_of(now: datetime) -> date:
    """The day of Asia/Shanghai, eight hours before UTC all the year."""
    return (now + timedelta(hours=8)).date()


@dataclass
class Account:
    """What was used of one grant on one day. `subjects` is known to lie between two numbers.

    `groups`: figures were asked for, whose groups count once for the same question; whether two questions are the same
    is not for the oracle to say.
    """

    rows: int = 0
    requests: int = 0
    subjects: tuple[int, int] = (0, 0)
    known: set[Any] = field(default_factory=set)
    groups: bool = False


@dataclass
class Usage:
    """What one operation delivered under one grant: rows, whom they are about, rows of nobody knows whom, groups."""

    rows: int = 0
    about: set[Any] = field(default_factory=set)
    unnamed: int = 0
    groups: int = 0


@dataclass
class Books:
    """Of one platform. Grants without a bound on something have no count of it."""

    cubes: dict[Any, tuple[Cell, ...]] = field(default_factory=dict)
    accounts: dict[tuple[str, date], Account] = field(default_factory=dict)

    def account(self, grant: str, now: datetime) -> Account:
        return self.accounts.setdefault((grant, day_of(now)), Account())

    def covers(self, grant: Grant, now: datetime, most: int) -> bool | None:
        """Whether a further operation that can deliver `most` rows is covered; None where the oracle cannot say."""
        account, quota = self.account(grant.id, now), grant.quota or Quota()
        low, high = account.subjects
        if not (_fits(quota.rows, account.rows, most) and _fits(quota.requests, account.requests, 1)):
            return False
        if _fits(quota.subjects, high, most):
            return True
        return None if _fits(quota.subjects, low, most) else False

    def settle(self, grants: Iterable[Grant], now: datetime, used: Mapping[str, Usage]) -> None:
        """One operation more of each of `grants`, which delivered `used`."""
        for grant in grants:
            account, quota, usage = self.account(grant.id, now), grant.quota or Quota(), used.get(grant.id, Usage())
            if quota.rows is not None:
                account.rows += usage.rows
            if quota.requests is not None:
                account.requests += 1
            if quota.subjects is not None:
                fresh = len(usage.about - account.known) + usage.unnamed
                account.known |= usage.about
                low, high = account.subjects
                account.subjects = (low + fresh + (0 if account.groups else usage.groups), high + fresh + usage.groups)
                account.groups = account.groups or usage.groups > 0


def _fits(bound: int | None, used: int, more: int) -> bool:
    # Nothing more is always covered, even if the bound has been lowered below what was used.
    return bound is None or more == 0 or used + more <= bound
