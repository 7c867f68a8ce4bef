"""In charge of the catalogues whose cells are decided: the demo's and synthetic ones, each by both rule sets."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from demo.region import CATALOGUE
from tanglai.catalogue.checks import load_draft
from tanglai.catalogue.model import Snapshot, Zone
from tests.catalogues import population


@cache
def demo() -> Snapshot:
    """The demo region's catalogue, as a node of the extranet serves it."""
    draft, violations = load_draft([CATALOGUE], None)
    assert violations == ()
    return Snapshot(
        number=1,
        zone=Zone.EXTRANET,
        rule_set="ningxia-measures",
        departments={d.code: d for d in draft.departments},
        divisions={d.code: d for d in draft.divisions},
        purposes={p.code: p for p in draft.purposes},
        categories={c.code: c for c in draft.categories},
        sources={s.key: s for s in draft.sources},
        resources={r.code: r for r in draft.resources},
    )


def by_809(snapshot: Snapshot) -> Snapshot:
    """The same catalogue where unconditional items are applied for (Order 809 Art. 21), and every source can do all.

    So every cell is decided by the rules, also those that the kind of a source leaves nothing to decide of.
    """
    sources = {key: replace(source, kind="postgresql") for key, source in snapshot.sources.items()}
    return replace(snapshot, rule_set="order-809", sources=sources)


@cache
def catalogues() -> Mapping[str, Snapshot]:
    """Every catalogue of the matrix, by name."""
    return {"demo": demo(), "demo, order-809": by_809(demo()), "population": population()}
