"""In charge of how much one request may ask for; beyond a limit it is refused, never trimmed."""

from dataclasses import dataclass

from tanglai.catalogue.errors import BadInput


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts per request unless said otherwise; times in seconds."""

    document_bytes: int = 64 * 1024
    tokens: int = 8_000
    depth: int = 16
    fields: int = 2_000
    roots: int = 64
    data_calls: int = 64
    page: int = 1_000
    default_page: int = 50
    rows: int = 250_000
    groups: int = 10_000
    link_keys: int = 10_000
    list_values: int = 1_000
    where_terms: int = 500
    representations: int = 1_000
    source_timeout: float = 10.0
    documents_cached: int = 1_000
    documents_cached_bytes: int = 4_000_000
    plans_cached: int = 4_000
    decisions_cached: int = 20_000
    events: int = 16
    """Events of subscriptions that one process answers at the same time."""
    event_timeout: float = 30.0
    event_pause: float = 0.2
    """Between two events of one subscription."""
    export_rows: int = 1_000_000
    """Rows of the list that one export gives."""
    export_bound: int = 16_000_000
    """Rows that one export may deliver with those beyond relations."""
    export_timeout: float = 30.0
    """How long a source may take for the next rows of an export."""


def page_size_error(limits: Limits, place: object) -> BadInput:
    """What a page size outside of 0..limits.page is told; it is never clamped."""
    return BadInput(f"`first` and `last` lie between 0 and {limits.page}", fieldPath=str(place))
