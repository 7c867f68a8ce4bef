"""In charge of a store of quotas in memory, which agrees with the platform database's (tests/unit/storage)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from tanglai.catalogue.model import Quota
from tanglai.catalogue.quotas import Counts
from tanglai.storage.errors import PolicyUnavailable


class MemoryQuotas:
    """`taken` by grant and day. `statements` names the calls that a database would have got; `down` fails them.

    `lost`: what arrives is carried out, and fails all the same, as when a connection breaks before the answer.
    """

    def __init__(self) -> None:
        self.taken: dict[tuple[str, date], Counts] = {}
        self.subjects: dict[tuple[str, date], set[bytes]] = {}
        self.statements: list[str] = []
        self.down = False
        self.lost = False
        self.today: date | None = None

    async def take_quota(self, grant: str, day: date, wanted: Counts, quota: Quota) -> Counts | None:
        async with _Call(self, "take"):
            held = self.taken.get((grant, day), Counts())
            bounds = (
                (wanted.rows, held.rows, quota.rows),
                (wanted.requests, held.requests, quota.requests),
                (wanted.subjects, held.subjects, quota.subjects),
            )
            if any(add and bound is not None and old + add > bound for add, old, bound in bounds):
                return None
            self.taken[grant, day] = held + wanted
            return held + wanted

    async def return_quota(self, returns: Sequence[tuple[str, date, Counts]]) -> None:
        async with _Call(self, "return"):
            for grant, day, counts in returns:
                assert self.taken[grant, day].covers(counts), "more is given back than was taken"
                self.taken[grant, day] -= counts

    async def count_subjects(self, grant: str, day: date, subjects: Collection[bytes]) -> int:
        async with _Call(self, "count"):
            known = self.subjects.setdefault((grant, day), set())
            new = set(subjects) - known
            known |= new
            return len(new)

    async def quota_key(self, day: date) -> bytes:
        async with _Call(self, "key"):
            return day.isoformat().encode()

    async def used_quotas(self, grants: Sequence[str], day: date) -> Mapping[str, Counts]:
        async with _Call(self, "used"):
            return {grant: counts for (grant, on), counts in self.taken.items() if on == day and grant in grants}

    async def forget_subjects(self) -> int:
        async with _Call(self, "forget"):
            former = [key for key in self.subjects if self.today is not None and key[1] < self.today]
            return sum(len(self.subjects.pop(key)) for key in former)


class _Call:
    def __init__(self, store: MemoryQuotas, name: str) -> None:
        self.store = store
        self.name = name

    async def __aenter__(self) -> None:
        self.store.statements.append(self.name)
        await asyncio.sleep(0)
        if self.store.down:
            raise PolicyUnavailable

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.store.lost:
            raise PolicyUnavailable
