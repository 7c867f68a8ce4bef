"""In charge of who asks: the principal, verified elsewhere, as frozen data."""

from dataclasses import dataclass

from tanglai.catalogue.model import Department

OWN_DATA_ROLE = "data.own"
"""Role of a client that may read its own department's data through the platform (authorization.md, V rule 2)."""


@dataclass(frozen=True, slots=True)
class TokenScope:
    """One token scope, `resource` or `resource:item`; it only narrows. `item` None means the whole resource."""

    resource: str
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Department + client (+ person). `scopes` None: the token narrows nothing; empty: it allows nothing.

    `purposes` is the set that the token allows; a token without the claim allows no purpose.
    """

    department: Department
    client: str
    person: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[TokenScope] | None = None
    purposes: frozenset[str] = frozenset()
    token_id: str | None = None
