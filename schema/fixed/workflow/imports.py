"""In charge of imports of spreadsheets as GraphQL types: the file, its progress, the report per row, the template."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.enums import described
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info, resolved
from schema.fixed.stored_pages import Span, stored_connection
from schema.fixed.workflow.matters import ROLES, Matter, node, require_role
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, acted
from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.guide.remarks import Remark
from tanglai.catalogue.guide.writing import template
from tanglai.catalogue.workflow.errors import InvalidAct as InvalidGiven
from tanglai.catalogue.workflow.errors import Problem, ProblemCode
from tanglai.storage.workflow import imports, matters, reading
from tanglai.storage.workflow.import_entries import Outcome
from tanglai.storage.workflow.imports import ImportState

described(
    ImportState,
    "How far an import is.",
    {
        "RUNNING": "The file waits, or is being worked on.",
        "DONE": "Every resource of the file is an entry, unchanged or refused.",
        "FAILED": "The file could not be read or worked on; what is an entry already stays one.",
    },
)
described(
    Outcome,
    "What became of a resource of a spreadsheet.",
    {
        "CREATED": "It is a new entry: a draft of a resource, or a revision of what is published.",
        "AMENDED": "The open draft of the resource was amended.",
        "UNCHANGED": "The file says nothing new of it.",
        "REFUSED": "It is no entry; the report says why.",
    },
    name="ImportOutcome",
)
described(
    Severity,
    "How much weight a remark has.",
    {"ERROR": "The resource is not taken.", "NOTICE": "It is taken; somebody should look."},
    name="RemarkSeverity",
)


@strawberry.type(description="Something to say about a place of the spreadsheet.")
class ImportRemark:
    sheet: str = strawberry.field(description="Name of the sheet; empty for the whole file.")
    row: int = strawberry.field(description="Row as the spreadsheet counts; 0 for the whole sheet.")
    column: str = strawberry.field(description="Header of the column; empty for the whole row.")
    severity: Severity = strawberry.field(description="Whether the resource is taken all the same.")
    rule: str = strawberry.field(description="Id of the rule.")
    article: str | None = strawberry.field(description="Where the rule comes from; null for rules of form.")
    resource_code: str | None = strawberry.field(description="Code of the resource; null where it has none.")
    message: str = strawberry.field(description="In words of the request's language.")


@strawberry.type(description="A resource of the spreadsheet, and what became of it.")
class ImportedResource:
    code: str = strawberry.field(description="Its code.")
    title: str = strawberry.field(description="Its name.")
    sheet: str = strawberry.field(description="Name of the sheet that it stands in.")
    row: int = strawberry.field(description="Its first row.")
    outcome: Outcome = strawberry.field(description="What became of it.")
    entry_number: str | None = strawberry.field(description="Number of its entry; null where there is none.")

    @resolved("Its entry; null where there is none.")
    async def entry(self, info: Info) -> Matter | None:
        if self.entry_number is None:
            return None
        found = await info.context.batched("imported entries", self.entry_number, _entries(info))
        return node(found) if found is not None else None


def _entries(info: Info) -> Callable[[Sequence[str]], Awaitable[Mapping[str, matters.Matter | None]]]:
    desk, department = info.context.office, info.context.principal.department.code

    async def load(numbers: Sequence[str]) -> Mapping[str, matters.Matter | None]:
        found = await desk.read(lambda connection: reading.visible(connection, department, numbers))
        return {number: found.get(number) for number in numbers}

    return load


@strawberry.type(description="A spreadsheet of the catalogue guide on its way to entries of the catalogue.")
class CatalogueImport:
    id: strawberry.ID = strawberry.field(description="Its number.")
    file_name: str = strawberry.field(description="Name of the file.")
    sha256: str = strawberry.field(description="Digest of the file, in hexadecimal digits.")
    size: int = strawberry.field(description="Bytes of the file.")
    by: str = strawberry.field(description="Who imports: a person, or else a client program.")
    state: ImportState = strawberry.field(description="How far it is.")
    failure: str | None = strawberry.field(description="Why it failed, in words of the request's language.")
    total: int | None = strawberry.field(description="Resources in the file; null until it is read.")
    done: int = strawberry.field(description="Resources that are done: the sum of the four below.")
    created: int = strawberry.field(description="New entries.")
    amended: int = strawberry.field(description="Open drafts that were amended.")
    unchanged: int = strawberry.field(description="Resources of which the file says nothing new.")
    refused: int = strawberry.field(description="Resources with an error, of which nothing is taken.")
    untold: int = strawberry.field(description="Remarks beyond those that a report keeps.")
    started_at: datetime = strawberry.field(description="When it was started.")
    finished_at: datetime | None = strawberry.field(description="When it came to its end; null while it runs.")

    @resolved("The report, in the order of the file; complete once the import is over.")
    async def remarks(
        self,
        info: Info,
        errors_only: Annotated[
            bool, strawberry.argument(description="Only what keeps a resource from being taken.")
        ] = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ImportRemark]:
        desk, id, chinese = info.context.office, str(self.id), info.context.language == "zh"

        async def fetch(span: Span) -> list[tuple[int, Remark]]:
            return await desk.read(
                lambda connection: imports.remarks_page(
                    connection,
                    id,
                    errors_only=errors_only,
                    after=_number(span.after),
                    before=_number(span.before),
                    limit=span.limit,
                    last=span.last,
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: imports.count_remarks(connection, id, errors_only=errors_only))

        return await stored_connection(
            Window(first, after, last, before),
            fetch,
            lambda entry: f"{entry[0]}",
            lambda entry: _remark(entry[1], chinese),
            count,
        )

    @resolved("Resources of the file that went into the catalogue's work, by code, with what became of them.")
    async def resources(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ImportedResource]:
        desk, id = info.context.office, str(self.id)

        async def fetch(span: Span) -> list[imports.ImportEntry]:
            return await desk.read(
                lambda connection: imports.entries_page(
                    connection, id, after=span.after, before=span.before, limit=span.limit, last=span.last
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: imports.count_entries(connection, id))

        return await stored_connection(
            Window(first, after, last, before), fetch, lambda entry: entry.code, _resource, count
        )


def _number(text: str | None) -> int | None:
    if text is not None and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise TanglaiError(ErrorCode.BAD_CURSOR, "the cursor is none of this list")
    return int(text) if text is not None else None


def _remark(remark: Remark, chinese: bool) -> ImportRemark:
    return ImportRemark(
        sheet=remark.sheet,
        row=remark.row,
        column=remark.column,
        severity=remark.severity,
        rule=remark.rule,
        article=remark.article or None,
        resource_code=remark.resource or None,
        message=remark.message_zh if chinese else remark.message,
    )


def _resource(entry: imports.ImportEntry) -> ImportedResource:
    return ImportedResource(
        code=entry.code,
        title=entry.title,
        sheet=entry.sheet,
        row=entry.row,
        outcome=entry.outcome,
        entry_number=entry.matter,
    )


def catalogue_import_of(info: Info, it: imports.Import) -> CatalogueImport:
    return CatalogueImport(
        id=strawberry.ID(it.id),
        file_name=it.file_name,
        sha256=it.sha256,
        size=it.size,
        by=it.by,
        state=it.state,
        failure=it.failure_zh if info.context.language == "zh" else it.failure,
        total=it.total,
        done=it.done,
        created=it.created,
        amended=it.amended,
        unchanged=it.unchanged,
        refused=it.refused,
        untold=it.untold,
        started_at=it.started_at,
        finished_at=it.finished_at,
    )


async def find_import(info: Info, id: str) -> imports.Import | None:
    """The import `id` of the requester's department, as it is now; None where there is none, or no role is held."""
    if not any(role in info.context.principal.roles for role in ROLES):
        return None
    department = info.context.principal.department.code
    return await info.context.office.read(lambda connection: imports.find(connection, department, id))


ImportResult: TypeAlias = Annotated[
    CatalogueImport | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("ImportCatalogueResult", description="The import that began, or why it did not."),
]


@strawberry.type
class ImportQueries:
    @resolved("An import of the department; null where there is none of this number.")
    async def catalogue_import(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its number.")]
    ) -> CatalogueImport | None:
        it = await find_import(info, str(id))
        return catalogue_import_of(info, it) if it is not None else None

    @resolved("Imports of the department, the oldest first; `last` gives the newest.")
    async def catalogue_imports(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[CatalogueImport]:
        require_role(info)
        desk, department = info.context.office, info.context.principal.department.code

        async def fetch(span: Span) -> list[imports.Import]:
            return await desk.read(
                lambda connection: imports.page(
                    connection, department, after=span.after, before=span.before, limit=span.limit, last=span.last
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: imports.count(connection, department))

        return await stored_connection(
            Window(first, after, last, before),
            fetch,
            lambda it: it.id,
            lambda it: catalogue_import_of(info, it),
            count,
        )

    @resolved(
        "The spreadsheet to fill in (XLSX, in base64), with lists to choose from; also at `/catalogue-template.xlsx`."
    )
    async def import_template(self, info: Info) -> str:
        content = await asyncio.to_thread(template, info.context.snapshot)
        return base64.b64encode(content).decode()


@strawberry.type
class ImportMutations:
    @resolved(
        "Makes entries of a spreadsheet of the catalogue guide (Art. 8): answers at once, and the work goes on; see "
        "`importProgress`. Larger files are sent to `/catalogue-imports`. Role `cataloguer`."
    )
    async def import_catalogue(
        self,
        info: Info,
        file_name: Annotated[str, strawberry.argument(description="Name of the file, for people.")],
        content: Annotated[str, strawberry.argument(description="The XLSX file, in base64.")],
    ) -> ImportResult:
        it = await acted(_start(info, file_name, content))
        return catalogue_import_of(info, it) if isinstance(it, imports.Import) else it


async def _start(info: Info, file_name: str, content: str) -> imports.Import:
    desk, acting = info.context.office, info.context.acting
    try:
        file = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidGiven([Problem(("content",), ProblemCode.MALFORMED, "not base64")]) from None
    return await imports.start(desk, acting, file_name, file)
