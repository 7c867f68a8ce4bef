"""In charge of the table of all acts that are played; a kind of matter is one line here."""

from tests.property.workflows import kinds_application
from tests.property.workflows.model import Act

ACTS: tuple[Act, ...] = (*kinds_application.ACTS,)
