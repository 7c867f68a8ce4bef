"""What sources say of themselves, for those who bind entries to them: of this zone, and without those that are down."""

from pathlib import Path

from connectors.pool import SourcePool
from resolvers.structures import describing
from tanglai.catalogue.model import Source, Zone
from tests.catalogues import PUBLIC_SECURITY, make_snapshot


async def test_sources_of_this_zone_that_answer(tmp_path: Path) -> None:
    (tmp_path / "permit.csv").write_text("number,name\n1,a\n", encoding="utf-8")

    def source(key: str, kind: str, zone: Zone = Zone.EXTRANET, path: Path = tmp_path) -> Source:
        return Source(key, key, PUBLIC_SECURITY.code, kind, zone, {"folder": str(path)})

    sources = [
        source("files", "files"),
        source("elsewhere", "files", Zone.INTRANET),
        source("down", "postgresql"),
        source("unknown", "fax"),
    ]
    pool = SourcePool({})
    try:
        describe = describing(pool, make_snapshot(sources=sources))
        told = await describe(["files", "elsewhere", "down", "unknown", "never"])
    finally:
        await pool.close()
    assert list(told) == ["files"]
    (table,) = told["files"]
    assert [column.name for column in table.columns] == ["number", "name"]
