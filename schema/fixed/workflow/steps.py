"""In charge of which mutations take a step of a matter, by the names of the schema."""

from collections.abc import Mapping

from tanglai.catalogue.workflow.machines import MatterKind

_REPLY = ("approveApplication", "refuseApplication")
_MUTATIONS: Mapping[MatterKind, Mapping[str, tuple[str, ...]]] = {
    MatterKind.APPLICATION: {
        "AMEND": ("amendApplication",),
        "CONSENT": ("consentToApplication",),
        "SUBMIT": ("submitApplication",),
        "TELL_MISSING": ("tellMissing",),
        "SUPPLEMENT": ("supplementApplication",),
        "PROPOSE_REPLY": _REPLY,
        "REPLY": _REPLY,
        "SEND_BACK": ("sendBackReply",),
        "WITHDRAW": ("withdrawApplication",),
    },
    MatterKind.ENTRY: {
        "AMEND": ("amendEntry",),
        "APPROVE": ("approveEntry",),
        "SUBMIT": ("submitEntry",),
        "PUBLISH": ("publishEntry",),
        "RETURN": ("returnEntry",),
        "WITHDRAW": ("withdrawEntry",),
    },
    MatterKind.OBLIGATION: {"CANCEL": ("cancelObligation",)},
    MatterKind.CONSULTATION: {
        "STATE_POSITION": ("stateConsultationPosition",),
        "PROPOSE": ("proposeTerms",),
        "ACCEPT": ("acceptTerms",),
        "DECLINE": ("declineTerms",),
        "ESCALATE": ("escalateConsultation",),
        "WITHDRAW": ("withdrawConsultation",),
    },
    MatterKind.COORDINATION: {
        "STATE_POSITION": ("stateCoordinationPosition",),
        "DECIDE": ("decideCoordination",),
        "WITHDRAW": ("withdrawCoordination",),
    },
    MatterKind.CORRECTION: {
        "VERIFY": ("beginCorrection",),
        "ANSWER": ("answerCorrection",),
        "WITHDRAW": ("withdrawCorrection",),
    },
    MatterKind.SUSPENSION: {
        "REPORT_COMPLIANCE": ("reportCompliance",),
        "SEND_BACK": ("sendBackCompliance",),
        "RESUME": ("resumeGrant",),
        "END": ("endSuspendedGrant",),
    },
    MatterKind.SERVICE_CHANGE: {
        "CONSENT": ("consentToServiceChange",),
        "OBJECT": ("objectToServiceChange",),
        "FILE": ("fileServiceChange",),
        "ESCALATE": ("escalateServiceChange",),
        "WITHDRAW": ("withdrawServiceChange",),
    },
    MatterKind.EXTENSION: {"DECIDE": ("decideExtension",), "WITHDRAW": ("withdrawExtension",)},
    MatterKind.DISPOSAL: {"STATE": ("stateDisposal",)},
}


def mutations_of(kind: MatterKind, event: str, source: str) -> tuple[str, ...]:
    """The mutations that take the step `event` from `source`, by the matter's id and version.

    Empty where the step comes with another act: an obligation is met by an entry, more time is given by an extension.
    """
    if (kind, event, source) == (MatterKind.APPLICATION, "REPLY", "REPLY_PROPOSED"):
        return ("confirmReply",)
    return _MUTATIONS[kind].get(event, ())
