"""In charge of bringing the region's catalogue and grants into the platform's database."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from demo.region import CATALOGUE, DemoRegionError
from tanglai.catalogue.checks import Draft, Severity, check, load_draft
from tanglai.catalogue.model import Grant, GrantBasis
from tanglai.storage import migrate
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange

BY = "demo"


def catalogue_version() -> str:
    """A digest of the catalogue's files: they are published again where it changes."""
    total = sha256()
    for path in sorted(CATALOGUE.glob("*.yaml")):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def read_catalogue() -> Draft:
    """The region's catalogue as a draft that the law has nothing against. Raises DemoRegionError."""
    draft, unread = load_draft([CATALOGUE], None)
    errors = [one for one in (*unread, *check(draft, None)) if one.severity is Severity.ERROR]
    if errors:
        raise DemoRegionError(f"the demo's catalogue cannot be published: {errors[0]}")
    return draft


async def publish(url: str, draft: Draft) -> None:
    """Bring the platform's database at `url` to this program's tables and to `draft`; what equals it is left alone."""
    await migrate.upgrade(url)
    async with await PlatformDatabase.open(url) as database:
        await database.publish(
            CatalogueChange(
                by=BY,
                note="demo region",
                divisions=draft.divisions,
                departments=draft.departments,
                purposes=draft.purposes,
                categories=draft.categories,
                sources=draft.sources,
                resources=draft.resources,
            )
        )
        await database.put_grants(draft.grants, by=BY, reason="demo region")


async def put_past_the_check(url: str, grants: Sequence[Grant]) -> None:
    """Record `grants` as they are, without the law's check that an import makes."""
    async with await PlatformDatabase.open(url) as database:
        await database.put_grants(grants, by=BY, reason="the tour, past the check")


def application_for_diagnosis(draft: Draft, id: str) -> Grant:
    """What must open nothing: Market Regulation's grant on an application, now over the not-shared diagnosis too."""
    known = next(grant for grant in draft.grants if grant.id == "G-2026-023")
    assert known.basis is GrantBasis.APPLICATION
    return replace(known, id=id, items=known.items | {"diagnosis"})
