"""In charge of working on imports of spreadsheets while a node runs: one at a time, batch by batch, each to its end."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from types import TracebackType
from typing import Self, TypeVar
from uuid import uuid4

from tanglai.catalogue.guide.proposals import Importing
from tanglai.catalogue.guide.reading import Draft, Reading, read_sheets
from tanglai.catalogue.guide.transfer import receive
from tanglai.catalogue.guide.workbook import Sheet, WorkbookError
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.errors import WorkflowError
from tanglai.catalogue.workflow.parties import Acting
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.replica import Moment
from tanglai.storage.workflow import imports
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.feed import Feed
from tanglai.storage.workflow.imports import HELD_SECONDS, Held, Lost

_log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 50
"""Resources that one transaction makes entries of."""
LOOK_SECONDS = 20.0
"""How often a node looks for imports that another one left behind; of new ones it is told at once."""
READ_SECONDS = 600.0
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT")
_TOO_MUCH = ("the file takes too much time or memory to read", "读取文件耗费的时间或内存过多")
_INTERNAL = ("internal error: ask whoever runs the platform", "内部错误，请联系平台运维人员")


class _Over(Exception):
    """The import cannot go on; the arguments say why, in English and in Chinese."""


class Importer:
    """Works on imports while it is open. What it is at when it closes is left to whoever opens next."""

    def __init__(
        self,
        database: PlatformDatabase,
        desk: Desk,
        moment: Callable[[], Awaitable[Moment]],
        feed: Feed | None = None,
        *,
        node: str = "tanglai",
        batch: int = BATCH,
    ) -> None:
        self._database, self._desk, self._moment, self._feed = database, desk, moment, feed
        self._node, self._batch = node, batch
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="tanglai-imports", context=Context())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        assert self._feed is not None
        follower = self._feed.follower()
        try:
            follower.follow(imports.WAITING)
            while True:
                try:
                    while await self.once():
                        pass
                except PolicyUnavailable as failure:
                    _log.warning("imports wait: %s", failure.message)
                except Exception:
                    _log.exception("an import could not be worked on")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await follower.changed()
        finally:
            follower.close()

    async def once(self, only: str | None = None) -> bool:
        """Brings one import that waits to its end, `only` this one where it is given; whether there was one.

        Cancelled, it leaves the import to whoever comes next. Raises PolicyUnavailable; then it is left, too.
        """
        held = await imports.claim(self._database, f"{self._node}-{uuid4().hex}", only)
        if held is None:
            return False
        try:
            await self._held_while(held, self._bring_in(held))
        except Lost:
            _log.warning("import %s is worked on elsewhere", held.id)
        except asyncio.CancelledError:
            with suppress(PolicyUnavailable):
                await asyncio.shield(imports.release(self._database, held))
            raise
        return True

    async def _bring_in(self, held: Held) -> None:
        try:
            drafts = await self._begin(held)
            for batch in _batches(drafts, self._batch):
                await imports.put(self._desk, self._acting(held, await self._moment()), held, batch)
            await imports.finish(self._database, held)
        except (WorkbookError, _Over) as error:
            await imports.fail(self._database, held, *error.args)
        except WorkflowError as error:
            await imports.fail(self._database, held, error.message, _INTERNAL[1])
        except (Lost, PolicyUnavailable):
            raise
        except Exception:
            _log.exception("import %s failed", held.id)
            await imports.fail(self._database, held, *_INTERNAL)

    async def _begin(self, held: Held) -> list[Draft]:
        """The drafts that are left to do, with the report on the file kept."""
        sheets = await read_apart(held.content)
        moment = await self._moment()
        department = moment.snapshot.departments.get(held.department)
        if department is None or not department.active:
            raise _Over("the department takes part no more", "部门已停用")
        importing = Importing(moment.snapshot, department, day_of(moment.now))
        reading: Reading = await asyncio.to_thread(read_sheets, sheets, importing)
        done = await imports.begin(self._database, held, reading)
        return sorted((draft for draft in reading.drafts if draft.code not in done), key=lambda draft: draft.code)

    def _acting(self, held: Held, moment: Moment) -> Acting:
        """Whoever asked for the import, as of now."""
        return Acting(
            held.department,
            held.client,
            held.person,
            held.roles,
            moment.now,
            moment.snapshot,
            held.request_id,
            self._node,
        )

    async def _held_while(self, held: Held, work: Awaitable[T]) -> T:
        """`work`, during which the import stays this node's."""
        keeping = asyncio.create_task(self._keep(held))
        try:
            return await work
        finally:
            keeping.cancel()

    async def _keep(self, held: Held) -> None:
        while True:
            await asyncio.sleep(HELD_SECONDS / 3)
            with suppress(PolicyUnavailable, Lost):  # whoever works on it meets the same
                await imports.keep_alive(self._database, held)


def _batches(drafts: Sequence[Draft], size: int) -> Iterator[Sequence[Draft]]:
    for start in range(0, len(drafts), size):
        yield drafts[start : start + size]


async def read_apart(content: bytes) -> list[Sheet]:
    """The sheets of an XLSX file, read in a process of its own. Raises WorkbookError.

    The process has none of the node's secrets and ends with this call, whatever happens.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tanglai.catalogue.guide",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    )
    try:
        async with asyncio.timeout(READ_SECONDS):
            output, _ = await process.communicate(content)
    except TimeoutError as error:
        raise WorkbookError(*_TOO_MUCH) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise WorkbookError(*_TOO_MUCH)
    return await asyncio.to_thread(receive, output)
