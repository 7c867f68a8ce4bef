"""A catalogue and its grants come in together or not at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Grant, GrantBasis
from tanglai.storage import migrate
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange
from tests.catalogues import YINCHUAN, population, resource_code


async def test_both_or_neither(database: str) -> None:
    await migrate.upgrade(database)
    catalogue = population()
    change = CatalogueChange(
        by="test",
        divisions=tuple(catalogue.divisions.values()),
        departments=tuple(catalogue.departments.values()),
        purposes=tuple(catalogue.purposes.values()),
        categories=tuple(catalogue.categories.values()),
        sources=tuple(catalogue.sources.values()),
        resources=tuple(catalogue.resources.values()),
    )
    now = datetime.now(UTC)
    good = Grant(
        "g1",
        YINCHUAN.code,
        resource_code("resident"),
        frozenset({"phone"}),
        "assistance",
        now,
        now + timedelta(days=1),
        GrantBasis.APPLICATION,
    )
    async with await PlatformDatabase.open(database) as platform:
        with pytest.raises(TanglaiError):
            await platform.bring_in(change, [good, replace(good, id="g2", purpose="nowhere")])
        assert await platform.pool.fetchval("SELECT count(*) FROM resource") == 0
        assert await platform.load_grants(YINCHUAN.code) == ()
        published, put = await platform.bring_in(change, [good])
        assert len(published.versions) == len(catalogue.resources)
        assert put is not None
        assert put.added == ("g1",)
        again, nothing = await platform.bring_in(change, [good])
        assert again.empty
        assert nothing is not None
        assert nothing.added == nothing.changed == ()
