"""In charge of the kinds of sources that there are."""

from collections.abc import Mapping
from types import MappingProxyType

from connectors.files import FilesKind
from connectors.http import HttpKind
from connectors.postgresql import PostgreSQLKind
from connectors.protocol import ConnectorKind

KINDS: Mapping[str, ConnectorKind] = MappingProxyType(
    {"files": FilesKind(), "http": HttpKind(), "postgresql": PostgreSQLKind()}
)
"""Kinds by the name that stands in `Source.kind`."""
