"""One small world for the resolvers' tests: residents, households and vehicles of two sources."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from tanglai.catalogue.model import Grant
from tests.catalogues import population, resource_code
from tests.gateways import World, make_grant

RESIDENT, VEHICLE, HOUSEHOLD = (resource_code(word) for word in ("resident", "vehicle", "household"))


def resident(number: int, **more: Any) -> dict[str, Any]:
    return {
        "handle": number,
        "name": f"n{number}",
        "id_number": f"id{number}",
        "passport": f"secret{number}",
        "birth_date": date(2000, 1, number),
        "sex": "1" if number % 2 else "2",
        "phone": f"1380000000{number}",
        "height": 170 + number,
        "serial": number * 10**12,
        "income": Decimal(number) / 2,
        "score": 1.5 * number,
        "married": number % 2 == 0,
        "wakes": time(6, number),
        "updated": datetime(2026, 1, number, tzinfo=UTC),
        "home": None,
        "file": "f",
        "household_id": f"h{number % 3}",
        **more,
    }


def rows() -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {
        "main": {
            "resident": [resident(number) for number in range(1, 8)],
            "household": [{"handle": n, "number": f"h{n}", "address": f"street {n}"} for n in range(3)],
            "inspection": [{"site": {"type": "Point", "coordinates": [1, 2]}}],
        },
        "traffic": {
            "vehicle": [
                {"handle": 1, "plate": "P1", "owner": "id1"},
                {"handle": 2, "plate": "P2", "owner": "id1"},
                {"handle": 3, "plate": "P3", "owner": "id2"},
                {"handle": 4, "plate": "P4", "owner": None},
            ]
        },
    }


def follow_all() -> list[Grant]:
    """Grants that open every relation, and nothing else."""
    return [
        make_grant(RESIDENT, id="r1", relations=frozenset({"vehicles", "household"})),
        make_grant(VEHICLE, id="r2", relations=frozenset({"keeper"})),
        make_grant(HOUSEHOLD, id="r3", relations=frozenset({"members"})),
    ]


@pytest.fixture
def world() -> World:
    """No grants."""
    return World(population(), rows())


@pytest.fixture
def linked() -> World:
    """Every relation may be followed."""
    return World(population(), rows(), follow_all())
