"""In charge of what every command needs: settings, the platform database, and errors told as one line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import typer

from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Snapshot
from tanglai.server.settings import Settings, SettingsError, load
from tanglai.storage import migrate
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.embedded_process import DataFolderInUse, EmbeddedPostgresError
from tanglai.storage.errors import SchemaMismatch
from tanglai.storage.keys import MasterKey

T = TypeVar("T")


class CommandError(Exception):
    """A command cannot go on; the message says why, for a person at a terminal."""


def fail(message: str) -> typer.Exit:
    """Prints `message` on standard error; raise what is returned (exit code 1)."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(1)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work; failures that can be foreseen become one line and exit code 1."""
    try:
        return asyncio.run(work)
    except (CommandError, SettingsError, EmbeddedPostgresError, SchemaMismatch, ValueError, OSError) as error:
        raise fail(str(error)) from None
    except TanglaiError as error:
        raise fail(f"{error.message} ({error.code})") from None


@contextlib.contextmanager
def database_url(settings: Settings) -> Any:
    """URL of the platform database: the configured one, or the embedded one of the state folder.

    An embedded server that another process runs is used as it is; otherwise one is started for the command's time.
    """
    if settings.database_url:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres(settings.state_dir / "platform")
    try:
        embedded.start()
    except DataFolderInUse:
        yield embedded.url()
        return
    try:
        yield embedded.url()
    finally:
        embedded.stop()


@contextlib.asynccontextmanager
async def platform(settings: Settings | None = None) -> AsyncIterator[PlatformDatabase]:
    """The platform database, brought to this program's tables."""
    settings = settings or load()
    with database_url(settings) as url:
        await migrate.upgrade(url)
        key = settings.key_bytes
        async with await PlatformDatabase.open(url, max_size=2, master_key=MasterKey(key) if key else None) as database:
            yield database


async def snapshot(database: PlatformDatabase, settings: Settings) -> Snapshot:
    """The catalogue as it is, under the rule set that is in force on this node."""
    rule_set = (await database.confirm()).rule_sets.get(settings.zone, settings.rule_set)
    return await database.load_snapshot(settings.zone, rule_set=rule_set)
