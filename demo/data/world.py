"""In charge of all generated data together, each table made when it is first asked for."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256

from demo.data import companies, organisations, people, services, vehicles
from demo.data.companies import Company, Licence, Parcel, TaxRecord
from demo.data.organisations import SocialOrganisation
from demo.data.people import CAST, Household, People, Resident
from demo.data.services import Adoption, Allowance, Contribution, DiseaseCase, Marriage, Vaccination
from demo.data.vehicles import Vehicle

TABLES = (
    "residents",
    "households",
    "vehicles",
    "companies",
    "licences",
    "parcels",
    "tax_records",
    "contributions",
    "marriages",
    "allowances",
    "adoptions",
    "social_organisations",
    "vaccinations",
    "disease_cases",
)


class World:
    """The demo region's data as rows (NamedTuples). Equal on every machine and in every run."""

    @cached_property
    def people(self) -> People:
        return people.generate()

    @property
    def residents(self) -> list[Resident]:
        return self.people.residents

    @property
    def households(self) -> list[Household]:
        return self.people.households

    @cached_property
    def vehicles(self) -> list[Vehicle]:
        return vehicles.vehicles(self.people)

    @cached_property
    def companies(self) -> list[Company]:
        return companies.companies(self.people)

    @cached_property
    def licences(self) -> list[Licence]:
        return companies.licences(self.companies)

    @cached_property
    def parcels(self) -> list[Parcel]:
        return companies.parcels(self.companies)

    @cached_property
    def tax_records(self) -> list[TaxRecord]:
        return companies.tax_records(self.companies)

    @cached_property
    def contributions(self) -> list[Contribution]:
        return services.contributions(self.people, self.companies)

    @cached_property
    def marriages(self) -> list[Marriage]:
        return services.marriages(self.people)

    @cached_property
    def allowances(self) -> list[Allowance]:
        return services.allowances(self.people)

    @cached_property
    def adoptions(self) -> list[Adoption]:
        return services.adoptions(self.people)

    @cached_property
    def social_organisations(self) -> list[SocialOrganisation]:
        return organisations.social_organisations(self.people)

    @cached_property
    def vaccinations(self) -> list[Vaccination]:
        return services.vaccinations(self.people)

    @cached_property
    def disease_cases(self) -> list[DiseaseCase]:
        return services.disease_cases(self.people)

    def person(self, name: str) -> Resident:
        """The resident whom `people.CAST` knows by `name`."""
        return self.residents[list(CAST).index(name)]

    def rows(self, table: str) -> Sequence[tuple[object, ...]]:
        """The rows of one of `TABLES`."""
        rows: Sequence[tuple[object, ...]] = getattr(self, table)
        return rows

    def digest(self, table: str) -> str:
        """SHA-256 over the rows of `table` in order, hexadecimal."""
        total = sha256()
        for row in self.rows(table):
            total.update(repr(tuple(row)).encode())
        return total.hexdigest()
