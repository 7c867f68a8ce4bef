"""In charge of a gateway's standing between operations: what is used of quotas and which cubes are published.

It is held against the oracle's books, and given from one gateway to another one that is to answer the same.
"""

import asyncio
from collections.abc import Iterable
from datetime import date, datetime
from weakref import WeakKeyDictionary

from tanglai.catalogue.model import Grant
from tanglai.catalogue.quotas import Counts
from tanglai.storage.quota_ledger import QuotaLedger
from tests.gateways import World
from tests.oracle.books import Books, day_of
from tests.quotas import MemoryQuotas

_BOOKS: WeakKeyDictionary[World, Books] = WeakKeyDictionary()


def books_of(world: World) -> Books:
    """The oracle's books of the platform that `world` is, from its first operation on."""
    return _BOOKS.setdefault(world, Books())


async def settled(world: World) -> None:
    """Waits until everything that the last operations used is counted. The world may live in another event loop."""
    while world.ledger._tasks:  # noqa: ASYNC110  # tasks of another loop cannot be waited for
        await asyncio.sleep(0)


async def balance(world: World, grants: Iterable[Grant], now: datetime) -> None:
    """What the ledger says is used of each of `grants` is what the books say. Raises AssertionError."""
    books, day = books_of(world), day_of(now)
    for grant in grants:
        used = await _used_at_rest(world, grant.id, day)
        account = books.account(grant.id, now)
        low, high = account.subjects
        assert (used.rows, used.requests) == (account.rows, account.requests), (grant.id, used, account)
        assert low <= used.subjects <= high, (grant.id, used, account)
        account.subjects = (used.subjects, used.subjects)


async def _used_at_rest(world: World, grant: str, day: date) -> Counts:
    """`_used`, at a moment when nothing is on its way back."""
    while True:
        await settled(world)
        used = _used(world, grant, day)
        if not world.ledger._tasks:
            return used


def _used(world: World, grant: str, day: date) -> Counts:
    """What is taken, without what lies unused in the worker's block."""
    block = world.ledger._blocks.get(grant)
    spare = block.spare if block is not None and block.day == day else Counts()
    return world.quotas.taken.get((grant, day), Counts()) - spare


async def give_standing(world: World, other: World) -> None:
    """`other` stands where `world` does: the same is used of every quota, the same cubes are published."""
    quotas = MemoryQuotas()
    for grant, day in list(world.quotas.taken):
        quotas.taken[grant, day] = await _used_at_rest(world, grant, day)
    quotas.subjects = {key: set(known) for key, known in world.quotas.subjects.items()}
    other.quotas = quotas
    other.ledger = QuotaLedger(quotas, idle=world.ledger.idle, soon=world.ledger.soon)
    other.gateway._quotas = other.ledger
    other.cubes.kept.clear()
    other.cubes.kept.update(world.cubes.kept)
