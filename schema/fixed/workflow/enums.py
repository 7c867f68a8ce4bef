"""In charge of the enums of the law's work, each value described."""

from enum import StrEnum

from schema.fixed.enums import described
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.application import MissingPoint, RefusalReason
from tanglai.catalogue.workflow.correction import CorrectionAnswer
from tanglai.catalogue.workflow.dispute import Decision
from tanglai.catalogue.workflow.errors import ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind, machines
from tanglai.catalogue.workflow.parties import Party


class ActErrorCode(StrEnum):
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    NOT_PERMITTED = "NOT_PERMITTED"
    WRONG_STATE = "WRONG_STATE"
    CONFLICT = "CONFLICT"


described(
    ActErrorCode,
    "What kept an act from being done.",
    {
        "INVALID": "What was given is incomplete or against a rule.",
        "NOT_FOUND": "There is no such thing for this department.",
        "NOT_PERMITTED": "Another department, role or person does this.",
        "WRONG_STATE": "It has no such step where it stands.",
        "CONFLICT": "Somebody else changed it meanwhile.",
    },
)
described(
    ProblemCode,
    "What is wrong with one field.",
    {
        "MISSING": "The law wants it, and it is not there.",
        "MALFORMED": "It is not of its form.",
        "UNKNOWN": "It names nothing.",
        "NOT_ALLOWED": "It exists, and may not stand here.",
        "TOO_WIDE": "It is more than was asked for or is published.",
        "TOO_LATE": "Its time is over, or beyond what the rule allows.",
        "TAKEN": "Something open does this already.",
    },
)
described(MatterKind, "What the law wants done.", {it.kind.value: f"{it.title}: {it.title_en}." for it in machines()})
described(
    Party,
    "A department's part in a matter.",
    {
        "REQUESTER": "The department that wants the data, or has them.",
        "PROVIDER": "The department whose data or catalogue it is.",
        "COORDINATOR": "The competent department.",
        "PLATFORM": "Nobody's: the platform by itself.",
    },
)
described(
    DeadlineKind,
    "What is due.",
    {
        "REPLY": "The provider's reply to an application (Art. 11(3)).",
        "OBLIGATION": "The update of a catalogue after a change of law or functions (Art. 8).",
        "AUDIT": "The competent department's audit of an entry (Order 809 Art. 17).",
        "CORRECTION": "The answer to doubts about data (Order 809 Art. 26).",
        "SUPPLY": "The supply of data after an approval (Order 809 Art. 22).",
        "COMPLIANCE": "What the user of a suspended grant has to put right (Order 809 Art. 27).",
        "CONSULTATION": "The provider's position in a consultation.",
    },
)
described(
    RefusalReason,
    "Why data are not shared.",
    {
        "NO_DUTY": "The duty that is stated does not need them.",
        "NO_LEGAL_BASIS": "There is no legal basis for the use.",
        "AGAINST_CONDITION": "The use is outside of the condition that the catalogue publishes.",
        "OTHER_SOURCE": "Another department is the authority for them.",
        "NOT_HELD": "The provider does not have them.",
        "SECURITY": "Earlier use was not as granted.",
        "OTHER": "Another reason, given in words.",
    },
)
described(
    MissingPoint,
    "What is missing in an application.",
    {
        "DUTY": "The duty that it serves.",
        "LEGAL_BASIS": "The legal basis.",
        "SCENARIO": "The scenario of use.",
        "METHOD": "The method of taking the data.",
        "SCOPE": "The extent: items and rows.",
        "TIME_LIMIT": "The time limit.",
        "DOCUMENTS": "Documents that go with it.",
        "OTHER": "Something else, given in words.",
    },
)
described(
    Decision,
    "What the competent department decides (Art. 11(4)).",
    {
        "SHARE": "The data that were not shared or refused are granted.",
        "CLOSE": "They are not.",
        "KEEP": "A running grant stays as it is.",
        "CHANGE": "A running grant gets other terms.",
        "END": "A running grant ends.",
    },
    name="CoordinationDecision",
)
described(
    CorrectionAnswer,
    "What came of a provider's check of doubted data (Order 809 Art. 26).",
    {"CORRECTED": "They were wrong, and are corrected.", "DISMISSED": "They are right."},
)
