"""In charge of the table of all acts that are played; a kind of matter is one line here."""

from tests.property.workflows import kinds_application, kinds_disputes, kinds_entries, kinds_services
from tests.property.workflows.model import Act

ACTS: tuple[Act, ...] = (*kinds_application.ACTS, *kinds_disputes.ACTS, *kinds_services.ACTS, *kinds_entries.ACTS)
