"""In charge of naming what occurs in random examples, so that it can be counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from authz.principal import OWN_DATA_ROLE
from tanglai.catalogue.expressions import FALSE, TRUE, Attribute, Within
from tanglai.catalogue.model import Grant, Resource, Usage, Zone
from tests.oracle.examples import Example
from tests.oracle.foresight import item_of, relation_of
from tests.oracle.granting import holds
from tests.oracle.language import (
    ABSENT,
    ById,
    ByKey,
    Entities,
    Field,
    Figures,
    Inline,
    Listing,
    Operation,
    Pick,
    Place,
    Selection,
    Spread,
    Var,
    change,
    value_of,
)
from tests.oracle.operations import RETIRED
from tests.oracle.oracle import Oracle
from tests.oracle.predicates import readable
from tests.oracle.reckoning import Unclear
from tests.oracle.worlds import Asker, Drawn

ATTRIBUTES = {"department.code": "", "department.division": ""}


def count(seen: "Counter[str]", example: Example) -> None:
    """Adds everything in `example` that has a name here: `world ...`, `grant ...`, `asker ...`, `asks ...`."""
    _world(seen, example.drawn)
    for asked in example.asked:
        _asker(seen, asked.asker)
        seen["asks a list page by page"] += asked.walk is not None
        for operation in asked.operations:
            _Asked(seen, example.drawn, operation).operation()


# --- worlds --------------------------------------------------------------------------------------------------------


def _world(seen: "Counter[str]", drawn: Drawn) -> None:
    seen["world"] += 1
    seen[f"world under {drawn.snapshot.rule_set}"] += 1
    for resource in drawn.snapshot.resources.values():
        _resource(seen, drawn, resource)
    for grant in drawn.grants:
        _grant(seen, drawn, grant)
    readers = [grant for grant in drawn.grants if grant.usage is Usage.READ and grant.state.value == "ACTIVE"]
    for number, one in enumerate(readers):
        for other in readers[:number]:
            same = (one.requester, one.resource) == (other.requester, other.resource)
            if same and one.items & other.items and one.scope != other.scope:
                seen["grant that overlaps another in items, not in rows"] += 1


def _resource(seen: "Counter[str]", drawn: Drawn, resource: Resource) -> None:
    snapshot = drawn.snapshot
    rows = drawn.rows[resource.binding.source][resource.binding.table]
    seen["world with a resource of the other zone"] += resource.zone is Zone.INTRANET
    seen["resource with a handle" if resource.binding.handle else "resource without a handle"] += 1
    seen["resource with a key of several items"] += any(len(key.items) > 1 for key in resource.keys)
    seen["resource without rows"] += not rows
    owner = snapshot.sources[resource.binding.source].department
    seen["resource of another provider than its source's"] += owner != resource.provider
    seen["resource with a compiler"] += resource.compiler is not None
    cells = [tuple(repr(row[item.column.name]) for item in resource.items) for row in rows]
    seen["row like another"] += len(cells) - len(set(cells))
    for item in resource.items:
        seen[f"item {item.type.value}"] += 1
        seen[f"item {item.share_class.value}"] += 1
        seen["item with a code list"] += bool(item.codes)
        for row in rows:
            _cell(seen, row[item.column.name])
    for relation in resource.relations:
        target = snapshot.resources[relation.target]
        seen["relation to many" if relation.many else "relation to one"] += 1
        seen["relation of several items"] += len(relation.items) > 1
        seen["relation to its own resource"] += target is resource
        seen["relation across sources"] += target.binding.source != resource.binding.source
        seen[f"relation over {resource.item_by_name[relation.items[0]].type.value}"] += 1


def _cell(seen: "Counter[str]", value: Any) -> None:
    seen["cell null"] += value is None
    if isinstance(value, str):
        seen["cell of an empty text"] += value == ""
        seen["cell beyond the basic plane"] += any(ord(character) > 0xFFFF for character in value)
        seen["cell with a combining mark"] += "\u0301" in value
    elif isinstance(value, float):
        seen["cell of minus zero"] += value == 0 and str(value).startswith("-")
        seen["cell of a huge or tiny float"] += value != 0 and not 1e-100 < abs(value) < 1e100
    elif isinstance(value, int) and not isinstance(value, bool):
        seen["cell of an extreme integer"] += value in (2**31 - 1, -(2**31), 2**63 - 1, -(2**63))


def _grant(seen: "Counter[str]", drawn: Drawn, grant: Grant) -> None:
    resource = drawn.snapshot.resources[grant.resource]
    rows = drawn.rows[resource.binding.source][resource.binding.table]
    seen[f"grant {grant.state.value}"] += 1
    seen[f"grant by {grant.basis.value}"] += 1
    seen[f"grant for {grant.usage.value}"] += 1
    seen[f"grant for the purpose {grant.purpose}"] += 1
    seen["grant of relations alone"] += not grant.items
    seen["grant with a published cube"] += grant.statistics is not None
    for mask in grant.masks.values():
        seen[f"grant with mask {mask}"] += 1
    if grant.quota is not None:
        seen["grant with a quota of rows"] += grant.quota.rows is not None
        seen["grant with a quota of requests"] += grant.quota.requests is not None
        seen["grant with a quota of subjects"] += grant.quota.subjects is not None
    seen["grant without any row"] += grant.scope == FALSE
    if not readable(grant.scope, ATTRIBUTES):
        seen["grant with a scope that cannot be read"] += 1
        return
    if grant.scope not in (TRUE, FALSE):
        truths = {holds(grant.scope, resource, row) for row in rows}
        seen["grant of some rows"] += True in truths and len(truths) > 1
        seen["grant of some rows, unknown on some"] += {True, None} <= truths
        text = repr(grant.scope)
        seen["grant by an attribute"] += Attribute.__name__ in text
        seen["grant within a division"] += Within.__name__ in text
        seen["grant by a scope with NOT"] += "Not(" in text


def _asker(seen: "Counter[str]", asker: Asker) -> None:
    principal = asker.principal
    seen[f"asker of level {principal.department.level.value}"] += 1
    seen[f"asker {principal.department.key}"] += 1
    seen["asker for its own data"] += OWN_DATA_ROLE in principal.roles
    seen[f"asker with {len(principal.purposes)} purposes"] += 1
    seen["asker with a header"] += asker.header is not None
    seen["asker with two purposes asked for"] += None not in (asker.header, asker.extension) and (
        asker.header != asker.extension
    )
    if principal.scopes is not None:
        seen["asker with a narrowed token"] += 1
        seen["asker with a token of single items or relations"] += any(s.item is not None for s in principal.scopes)


# --- operations ----------------------------------------------------------------------------------------------------


class _Asked:
    def __init__(self, seen: "Counter[str]", drawn: Drawn, operation: Operation) -> None:
        self.seen = seen
        self.asked = operation
        self.resources = drawn.snapshot.resources
        self.by_field: dict[str, Resource] = {}
        for resource in self.resources.values():
            if resource.zone is drawn.snapshot.zone:
                names = resource.names
                self.by_field |= dict.fromkeys((names.list, names.one), resource)

    def operation(self) -> None:
        seen, operation = self.seen, self.asked
        seen["asks"] += 1
        seen["asks all or nothing"] += operation.refuse
        roots = [root for root in operation.selections if isinstance(root, Field)]
        seen["asks data twice"] += [root.name for root in roots].count("data") > 1
        seen["asks several roots"] += len(roots) > 1
        for root in roots:
            seen[f"asks {root.name}"] += 1
        self._selections(operation.selections, None, 0, ())

    def _selections(
        self, selections: Iterable[Selection], resource: Resource | None, depth: int, around: tuple[str, ...]
    ) -> None:
        for selection in selections:
            for only in selection.only:
                kind = "variable" if only.variable else "literal"
                what = "a field" if isinstance(selection, Field) else "a fragment"
                self.seen[f"asks @{only.directive} of a {kind} on {what}"] += 1
            if isinstance(selection, Spread):
                self.seen["asks a named fragment"] += 1
                self.seen["asks a named fragment within another"] += "named" in around
                fragment = self.asked.fragments[selection.fragment]
                self._selections(fragment.selections, resource, depth, (*around, "named"))
            elif isinstance(selection, Inline):
                kinds = {None: "asks a fragment without condition", "Node": "asks a fragment on Node"}
                self.seen[kinds.get(selection.condition, "asks a fragment on a type")] += 1
                inside = next((r for r in self.resources.values() if r.names.type == selection.condition), resource)
                self._selections(selection.selections, inside, depth, around)
            else:
                self._field(selection, resource, depth)

    def _field(self, selected: Field, resource: Resource | None, depth: int) -> None:
        seen = self.seen
        seen["asks an alias"] += selected.alias is not None
        below, arguments = resource, selected.arguments
        if resource is None:
            below = next((r for name, r in self.by_field.items() if selected.name.startswith(name)), None)
        else:
            relation = next((r for r in resource.relations if r.graphql == selected.name), None)
            if relation is not None:
                depth += 1
                below = self.resources[relation.target]
                seen[f"asks a relation at depth {depth}"] += 1
        match arguments:
            case ById(code):
                known = self.resources.get(code)
                seen["asks a node of a retired resource"] += code == RETIRED
                seen["asks a node of the other zone"] += known is not None and known.zone is Zone.INTRANET
            case Entities(representations):
                seen["asks entities of several kinds"] += len({one.resource for one in representations}) > 1
                seen["asks an entity that is none"] += any(one.values is None for one in representations)
            case ByKey(values):
                seen["asks by a key"] += 1
                seen["asks by a key of several items"] += len(values) > 1
            case Listing() if below is not None:
                self._listing(arguments, below, depth)
            case Figures() if below is not None:
                self._figures(selected, arguments, below)
        self._selections(selected.selections, below, depth, ())

    def _listing(self, listing: Listing, resource: Resource, depth: int) -> None:
        seen = self.seen
        seen["asks a list"] += 1
        order = value_of(listing.order)
        if order not in (None, ABSENT):
            seen[f"asks an order of {len(order)}"] += 1
            for name, direction in order:
                item = item_of(resource, name)
                seen[f"asks an order {direction}"] += 1
                if item is not None:
                    seen[f"asks an order by {item.type.value}"] += 1
        for name in ("first", "last", "after", "before", "search", "where", "order"):
            value = getattr(listing, name)
            seen[f"asks {name}"] += value_of(value) not in (None, ABSENT)
            seen[f"asks {name} by a variable"] += isinstance(value, Var)
        if isinstance(listing.after, Pick | Place):
            seen["asks beyond a cursor, backwards"] += value_of(listing.last) not in (None, ABSENT)
            seen["asks between two cursors"] += isinstance(listing.before, Pick | Place)
            seen["asks beyond a cursor, linked"] += depth > 0
        self._where(listing.where, resource, 0, ())

    def _figures(self, selected: Field, figures: Figures, resource: Resource) -> None:
        seen, group = self.seen, value_of(figures.group)
        seen["asks figures"] += 1
        groups = () if group in (None, ABSENT) else group
        seen[f"asks figures by {len(groups)}"] += 1
        for name in groups:
            item = item_of(resource, name)
            if item is not None:
                seen[f"asks figures by {item.type.value}"] += 1
        for function in selected.selections:
            if isinstance(function, Field) and function.name not in ("count", "key", "__typename"):
                for inner in function.selections:
                    item = item_of(resource, inner.name) if isinstance(inner, Field) else None
                    if item is not None:
                        seen[f"asks {function.name} of {item.type.value}"] += 1
        self._where(figures.where, resource, 0, ())

    def _where(self, where: Any, resource: Resource, depth: int, around: tuple[str, ...]) -> None:
        seen, where = self.seen, value_of(where)
        if not isinstance(where, Mapping):
            return
        seen[f"asks a filter at depth {min(depth, 3)}"] += bool(where)
        for name, operand in where.items():
            operand = value_of(operand)
            if name == "not":
                seen["asks not"] += 1
                seen["asks not within not"] += "not" in around
                self._where(operand, resource, depth + 1, (*around, "not"))
            elif name in ("and", "or"):
                seen[f"asks {name}"] += 1
                seen[f"asks {name} of nothing"] += not operand
                for part in operand:
                    self._where(part, resource, depth + 1, (*around, name))
            elif (item := item_of(resource, name)) is not None:
                for operator, value in (operand or {}).items():
                    self._test(operator, value, item.type.value, around)
            else:
                relation = relation_of(resource, name)
                target = self.resources[relation.target]
                for quantifier, inner in operand.items():
                    seen[f"asks {quantifier}"] += 1
                    seen[f"asks {quantifier} under not"] += "not" in around
                    seen[f"asks {quantifier} across sources"] += target.binding.source != resource.binding.source
                    seen[f"asks {quantifier} within a relation"] += "relation" in around
                    self._where(inner, target, depth + 1, (*around, "relation"))

    def _test(self, operator: str, value: Any, kind: str, around: tuple[str, ...]) -> None:
        seen = self.seen
        seen[f"asks {operator}"] += 1
        seen[f"asks {operator} under not"] += "not" in around
        seen[f"asks {operator} through a relation"] += "relation" in around
        seen[f"asks a test of {kind}"] += 1
        seen["asks a test by a variable"] += isinstance(value, Var)
        seen["asks a test without value"] += value_of(value) in (None, ABSENT)
        seen["asks a test of an empty list"] += value_of(value) == []


# --- outcomes ------------------------------------------------------------------------------------------------------


def outcomes(seen: "Counter[str]", oracle: Oracle, operation: Operation) -> None:
    """Adds what the oracle answers, cursors left out: `answer ...`, `denied CODE`, `refused CODE`."""

    def first_page(selected: Field) -> Field:
        if not isinstance(selected.arguments, Listing):
            return selected
        return replace(selected, arguments=replace(selected.arguments, after=ABSENT, before=ABSENT))

    try:
        expected = oracle.answer(change(operation, first_page))
    except Unclear:
        seen["answer unclear"] += 1
        return
    for code, _ in expected.refusals:
        seen[f"refused {code}"] += 1
    if expected.refusals:
        return
    seen["answer"] += 1
    for code, _, _ in expected.errors:
        seen[f"denied {code}"] += 1
    seen["answer without any denial"] += not expected.errors
    seen["answer with masked cells"] += bool(expected.masked)
    seen["answer partial in figures"] += bool(expected.partial)
    calls = [one for call in oracle.calls for one in call.all()]
    cubes = [call for call in calls if call.kind == "cube"]
    seen["answer from a published cube"] += bool(cubes)
    for call in cubes:
        found = oracle.publication(call.resource, call.asked)
        seen["answer from a published cube with cells"] += found is not None and bool(
            oracle.published(call.resource, call.asked, *found)
        )
    seen["answer that a quota counts"] += any(call.grants & set(oracle.bounded) for call in calls)
    for sight in oracle.sights.values():
        shown = [row for row, seen_here in enumerate(sight.visible) if seen_here]
        clear = {row for row in shown if any(cells[row] for cells in sight.clear.values())}
        seen["row with masked cells alone"] += len(shown) - len(clear)
        seen["row hidden from the asker"] += len(sight.rows) - len(shown)
