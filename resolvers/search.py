"""In charge of `search`: one text looked for in every text item that the principal may filter by."""

from authz.denial import Denial
from authz.visible import Use
from resolvers.cells import Refused, bind, constant
from resolvers.plan import At, check_needle
from resolvers.planner import Planning
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import FALSE, Expression, Match, MatchOp, Slot, disjunction
from tanglai.catalogue.model import Resource
from tanglai.catalogue.scalars import ScalarType


def search_predicate(planning: Planning, resource: Resource, needle: str | Slot, at: At) -> Expression:
    """Rows in which some text item holds `needle`.

    Runs over the compare cells of the text items that are clear on some row; it names no item, so the others are
    skipped without an error (authorization.md, case 8). FALSE where there is none. Raises BAD_INPUT for an empty text.
    """
    here = at.child("search")
    if isinstance(needle, Slot):
        planning.needles.append((needle.path, here))
    else:
        check_needle(needle, here)
    relation = planning.relation_of(resource)
    parts: list[Expression] = []
    for item in resource.items:
        if item.type is not ScalarType.TEXT:
            continue
        cell = relation.resolve(item.name, Use.WHERE)
        if isinstance(cell, Denial):
            # INVARIANT: a quota never changes which rows are found.
            if cell.code is ErrorCode.QUOTA_EXCEEDED and relation.items[item.name].clear != FALSE:
                raise Refused(cell, here)
            continue
        planning.count_term()
        planning.uses[resource.code].add(item.name)
        planning.told(relation.items[item.name].grants)
        parts.append(Match(MatchOp.CONTAINS, bind(cell, resource), constant(needle, ScalarType.TEXT)))
    return disjunction(*parts)
