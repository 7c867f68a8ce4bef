"""In charge of what sources say of themselves, for whoever binds a catalogue entry to one (Art. 7)."""

import asyncio
import logging
from collections.abc import Sequence

from connectors.pool import SourcePool
from schema.context import Describe
from tanglai.catalogue.checks import TableStructure
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Snapshot, Source

_SECONDS = 5.0
_log = logging.getLogger(__name__)


def describing(sources: SourcePool, snapshot: Snapshot) -> Describe:
    """Answers with the tables of sources of this node's zone, by key; one that does not answer in 5 s is left out."""

    async def describe(keys: Sequence[str]) -> dict[str, Sequence[TableStructure]]:
        known = [source for key in keys if (source := snapshot.sources.get(key)) is not None]
        here = [source for source in known if source.zone is snapshot.zone]
        told = await asyncio.gather(*(_tables(sources, source) for source in here))
        return {source.key: tables for source, tables in zip(here, told, strict=True) if tables is not None}

    return describe


async def _tables(sources: SourcePool, source: Source) -> Sequence[TableStructure] | None:
    try:
        async with asyncio.timeout(_SECONDS):
            return await sources.connector(source).introspect()
    except (TanglaiError, ValueError, TimeoutError) as error:
        _log.info("source %s: its columns are not checked: %s", source.key, error)
        return None
