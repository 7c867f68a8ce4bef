"""In charge of vehicles, as Public Security's vehicle interface tells of them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from demo.data.draw import Draw, handle
from demo.data.names import MAKERS
from demo.data.numbers import vehicle_number
from demo.data.people import CAST, People
from demo.data.places import PLATE_LETTERS

VEHICLES = 24_000


class Vehicle(NamedTuple):
    """One record of the interface. `displacement` in litres, null for electric vehicles; `mileage` in kilometres."""

    record_id: int
    plate: str
    vin: str
    owner_id_number: str
    owner_name: str
    brand: str
    model: str
    vehicle_type: str
    energy: str
    displacement: Decimal | None
    registered_on: date
    inspection_valid_to: date
    status: str
    mileage: int | None


def vehicles(people: People) -> list[Vehicle]:
    """24,000 vehicles; the first two, one of them electric, are the cast's `owner`'s."""
    draw, n = Draw("vehicles/1"), VEHICLES
    grown = [resident for resident in people.residents[len(CAST) :] if resident.birth_date.year < 2005]
    owner = people.residents[list(CAST).index("owner")]
    owners = [owner, owner, *draw.choices(grown, n - 2)]
    makers = draw.choices(list(MAKERS), n)
    electric = [False, True, *draw.chances(0.2, n - 2)]
    kinds = ["CAR", "CAR", *draw.weighted({"CAR": 80, "TRUCK": 15, "MOTORCYCLE": 5}, n - 2)]
    litres = draw.weighted({13: 10, 15: 40, 16: 20, 20: 25, 30: 5}, n)
    registered = draw.dates(n, date(2008, 1, 1), date(2025, 6, 20))
    statuses = ["NORMAL", "NORMAL", *draw.weighted({"NORMAL": 92, "MORTGAGED": 5, "SEIZED": 1, "OVERDUE": 2}, n - 2)]
    unknown, mileages = draw.chances(0.25, n), draw.integers(n, 100, 280_000)
    rows: list[Vehicle] = []
    for i in range(n):
        letter = PLATE_LETTERS[owners[i].household_number[:4]]
        plate = f"宁{letter}{'D' if electric[i] else ''}{i + 128:05d}"
        brand, model = MAKERS[makers[i]]
        rows.append(
            Vehicle(
                handle(i),
                plate,
                vehicle_number(makers[i], model, i),
                owners[i].id_number,
                owners[i].name,
                brand,
                model,
                kinds[i],
                "ELECTRIC" if electric[i] else "PETROL",
                None if electric[i] else Decimal(litres[i]).scaleb(-1),
                registered[i],
                registered[i] + timedelta((date(2025, 6, 30) - registered[i]).days // 730 * 730 + 730),
                statuses[i],
                None if unknown[i] else mileages[i],
            )
        )
    return rows
