"""In charge of reading a spreadsheet of the catalogue guide: bytes in, drafts and a report per row out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tanglai.catalogue.guide.checking import checked
from tanglai.catalogue.guide.grouping import groups
from tanglai.catalogue.guide.proposals import Importing, Proposal, Reader
from tanglai.catalogue.guide.remarks import At, Remark, Remarks
from tanglai.catalogue.guide.sheets import tables
from tanglai.catalogue.guide.workbook import Sheet, read_workbook


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource of the file that is taken.

    `document` lays the proposal over the published resource, where there is one; `missing` is what it lacks for
    publication, as paths in the document.
    """

    proposal: Proposal
    document: Mapping[str, Any]
    missing: tuple[str, ...]

    @property
    def code(self) -> str:
        return self.proposal.code


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. `resources` counts all that stand in it, `refused` those with an error, which are no drafts.

    `untold` counts remarks beyond those that a report keeps.
    """

    drafts: tuple[Draft, ...]
    remarks: tuple[Remark, ...]
    untold: int
    resources: int

    @property
    def refused(self) -> int:
        return self.resources - len(self.drafts)


def read_guide(content: bytes, importing: Importing) -> Reading:
    """The resources of an XLSX file, drafts of the importing department, with everything that there is to say.

    Takes seconds for thousands of resources: call it off the event loop. Raises WorkbookError for what is no workbook
    within the bounds, never anything else.
    """
    return read_sheets(read_workbook(content), importing)


def read_sheets(sheets: list[Sheet], importing: Importing) -> Reading:
    """As `read_guide`, of the sheets of a workbook that was read already."""
    remarks = Remarks()
    found = tables(sheets, remarks)
    if not found:
        message = "no sheet has the columns that the guide wants"
        At(remarks, "").error("", "document", message, "没有工作表具备编制指南规定的列")
    reader = Reader(importing, remarks)
    proposals: list[Proposal] = []
    resources = 0
    for table in found:
        for group in groups(table, remarks):
            resources += 1
            before = remarks.errors
            proposal = reader.proposal(group)
            if proposal is not None and remarks.errors == before:
                proposals.append(proposal)
    taken = checked(proposals, importing, remarks)
    remarks.sort([sheet.title for sheet in sheets])
    drafts = tuple(Draft(each.proposal, each.document, each.missing) for each in taken)
    return Reading(drafts, tuple(remarks.said), remarks.untold, resources)
