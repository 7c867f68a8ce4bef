"""In charge of the faults planted into planning: rows, filters, orders, pages, look-ups, figures, metering."""

from tests.oracle.mutants.mutant import Mutant

PLANNER, ROWS, WHERE, PAGES = "resolvers/planner.py", "resolvers/rows.py", "resolvers/where.py", "resolvers/pages.py"
LOOKUPS, ENTITIES, SEARCH = "resolvers/lookups.py", "resolvers/entities.py", "resolvers/search.py"
PASSES, AGGREGATES, STATISTICS = "resolvers/passes.py", "resolvers/aggregates.py", "resolvers/statistics.py"
METERING = "resolvers/metering.py"

PLANS = (
    # --- rows ---
    Mutant(
        "list-without-row-rule",
        "case 13: a list holds visible rows only",
        ROWS,
        "    visible = conjunction(bind(relation.row, resource), extra)\n    order =",
        "    visible = extra\n    order =",
        leak=True,
    ),
    Mutant(
        "object-without-row-rule",
        "case 29: node, look-ups, entities and to-one relations give visible rows only",
        ROWS,
        "            visible=conjunction(bind(relation.row, resource), extra),",
        "            visible=extra,",
        leak=True,
    ),
    Mutant(
        "node-ignores-visibility",
        "case 36: the node id of a hidden row answers as an absent one",
        ENTITIES,
        "    links = (resource.binding.handle,)\n    call = object_call(planning, resource, _type(planning, resource), "
        "selected.selection_sets, at, links=links)",
        "    from dataclasses import replace\n\n    from tanglai.catalogue.expressions import TRUE\n\n"
        "    links = (resource.binding.handle,)\n    call = object_call(planning, resource, _type(planning, resource), "
        "selected.selection_sets, at, links=links)\n    call = replace(call, query=replace(call.query, visible=TRUE))",
        leak=True,
    ),
    Mutant(
        "total-without-row-rule",
        "case 13: totalCount is exact on V",
        ROWS,
        "        visible=base.visible,\n        where=base.where,\n"
        "        links=base.links,\n        group_by=base.links,",
        "        where=base.where,\n        links=base.links,\n        group_by=base.links,",
        leak=True,
    ),
    Mutant(
        "total-without-filter",
        "totalCount counts the rows that pass where",
        ROWS,
        "        visible=base.visible,\n        where=base.where,\n"
        "        links=base.links,\n        group_by=base.links,",
        "        visible=base.visible,\n        links=base.links,\n        group_by=base.links,",
    ),
    # --- relations ---
    Mutant(
        "beyond-without-far-rule",
        "relations: the rule holds at each end",
        ROWS,
        "            extra=link.target_rows,\n            links=columns,\n            via=",
        "            links=columns,\n            via=",
        leak=True,
    ),
    Mutant(
        "one-beyond-without-far-rule",
        "relations: the rule holds at each end, to one as to many",
        ROWS,
        "selected.selection_sets, at, extra=link.target_rows, links=columns)",
        "selected.selection_sets, at, links=columns)",
        leak=True,
    ),
    Mutant(
        "link-key-without-near-rule",
        "case 9: keys are read where the relation's rule holds only",
        ROWS,
        "return column if rows == TRUE else Case(((rows, column),), column.type)",
        "return column",
        leak=True,
    ),
    Mutant(
        "null-keys-link",
        "a link needs keys that are not null",
        "connectors/evaluate.py",
        "linked = {key for row in passing if None not in (key := tuple(",
        "linked = {key for row in passing if (key := tuple(",
    ),
    Mutant(
        "filter-without-far-row-rule",
        "case 12: a filter through a relation sees visible rows only",
        WHERE,
        "visible = conjunction(link.target_row, link.target_rows)",
        "visible = link.target_rows",
        leak=True,
    ),
    Mutant(
        "filter-without-far-rule",
        "relations in where: the rule holds at the far end",
        WHERE,
        "visible = conjunction(link.target_row, link.target_rows)",
        "visible = link.target_row",
        leak=True,
    ),
    Mutant(
        "filter-without-near-rule",
        "relations in where: the rule holds at the near end",
        WHERE,
        "            return conjunction(link.rows, exists)",
        "            return exists",
        leak=True,
    ),
    Mutant(
        "filter-across-without-near-rule",
        "relations in where across sources: the rule holds at the near end",
        WHERE,
        "return conjunction(link.rows, IsTrue(In(",
        "return conjunction(IsTrue(In(",
        leak=True,
    ),
    # --- filters ---
    Mutant(
        "every-by-three-values",
        "every: a link on which the filter is UNKNOWN does not pass",
        WHERE,
        "Not(exists(Not(IsTrue(inner))))",
        "Not(exists(Not(inner)))",
    ),
    Mutant(
        "filter-on-raw-column",
        "where uses compare cells and nothing else",
        WHERE,
        "        cell = self.planning.cell(resource, item, Use.WHERE, at)\n",
        "        self.planning.cell(resource, item, Use.WHERE, at)\n        cell = item.column\n",
        leak=True,
    ),
    Mutant(
        "is-null-on-raw-column",
        "isNull is true on hidden cells",
        WHERE,
        "            parts.append(OPERATORS[operator](cell, item.type, operand))",
        '            tested = item.column if operator == "isNull" else cell\n'
        "            parts.append(OPERATORS[operator](tested, item.type, operand))",
        leak=True,
    ),
    Mutant(
        "null-operand-dropped",
        "case 14: an explicit null operand is an error, never a missing filter",
        WHERE,
        '                raise BadInput(f"`{operator}` may not be null", fieldPath=str(at.child(operator)))',
        "                continue",
    ),
    Mutant(
        "empty-or-passes",
        "case 15: `or: []` is FALSE",
        WHERE,
        "conjunction(*inner) if what is WhereLogic.AND else disjunction(*inner)",
        "conjunction(*inner) if what is WhereLogic.AND or not inner else disjunction(*inner)",
    ),
    Mutant(
        "not-in-of-nothing-fails",
        "`in: []` is FALSE, so that `notIn: []` is TRUE",
        WHERE,
        "for value in values)) if values else FALSE",
        "for value in values)) if values else conjunction()",
    ),
    Mutant(
        "undefined-variable-widens",
        "case 14: an undefined variable never removes a filter",
        "resolvers/values.py",
        "            for field in node.fields\n        }\n    if isinstance(node, EnumValueNode)",
        "            for field in node.fields\n"
        "            if not isinstance(field.value, VariableNode) or field.value.name.value in variables\n"
        "        }\n    if isinstance(node, EnumValueNode)",
    ),
    Mutant(
        "simplified-under-not",
        "simplification: under no NOT",
        PASSES,
        "        case _:\n            return where",
        "        case _:\n            from tanglai.catalogue.expressions import Not\n\n"
        "            return Not(simplify(where.part)) if isinstance(where, Not) else where",
        leak=True,
    ),
    Mutant(
        "simplified-to-the-column",
        "simplification: CASE WHEN p THEN a END op x becomes p AND a op x",
        PASSES,
        "return conjunction(condition, Compare(op, cell, right))",
        "return Compare(op, cell, right)",
        leak=True,
    ),
    Mutant(
        "simplified-membership",
        "simplification: IN keeps the condition too",
        PASSES,
        "return conjunction(condition, In(cell, values))",
        "return In(cell, values)",
        leak=True,
    ),
    # --- search ---
    Mutant(
        "search-on-raw-columns",
        "case 8: search runs over compare cells",
        SEARCH,
        "bind(cell, resource), constant(needle",
        "item.column, constant(needle",
        leak=True,
    ),
    Mutant(
        "search-on-ungranted-items",
        "case 8: search skips what is clear on no row",
        SEARCH,
        "                raise Refused(cell, here)\n            continue",
        "                raise Refused(cell, here)\n            cell = relation.items[item.name].raw",
        leak=True,
    ),
    Mutant(
        "search-on-masked-items",
        "search runs over compare cells, never over what a mask leaves",
        SEARCH,
        "cell = relation.resolve(item.name, Use.WHERE)",
        "cell = relation.resolve(item.name, Use.SELECT)",
    ),
    # --- order and pages ---
    Mutant(
        "order-by-raw-column",
        "case 5: order uses compare cells",
        PAGES,
        '        cell = planning.cell(resource, item, Use.ORDER, at.child("orderBy").child(name))\n',
        '        planning.cell(resource, item, Use.ORDER, at.child("orderBy").child(name))\n'
        "        cell = item.column\n",
        leak=True,
    ),
    Mutant(
        "ties-broken-by-hidden-key",
        "ties: only a key that is clear wherever a row is visible",
        PAGES,
        "rule.clear != FALSE and not relation.partial(rule.item.name) and not rule.item.nullable for rule in rules",
        "rule.clear != FALSE and not rule.item.nullable for rule in rules",
        leak=True,
    ),
    Mutant(
        "default-order-by-raw-columns",
        "default order uses visible compare cells",
        PAGES,
        "rules = [r for r in planning.relation_of(resource).items.values() "
        "if r.clear != FALSE and r.item.type.comparable]\n"
        "    planning.uses[resource.code].update(rule.item.name for rule in rules)\n"
        "    cells = [bind(rule.compare, resource) for rule in rules]",
        "rules = [r for r in planning.relation_of(resource).items.values() if r.item.type.comparable]\n"
        "    planning.uses[resource.code].update(rule.item.name for rule in rules)\n"
        "    cells = [rule.item.column for rule in rules]",
        leak=True,
    ),
    Mutant(
        "cursor-of-any-filter",
        "a cursor is bound to the filter",
        ROWS,
        "        filter=_filter(given),",
        "        filter=[],",
    ),
    Mutant(
        "cursor-of-any-order",
        "a cursor is bound to the order",
        ROWS,
        "context=_digest(resource.code, via, _order_of(given), len(columns)),",
        "context=_digest(resource.code, via, len(columns)),",
    ),
    Mutant(
        "backward-pages-sorted-forwards",
        "pages backwards",
        ROWS,
        "Order(c.expression, c.descending != page.backward)",
        "Order(c.expression, c.descending)",
    ),
    # --- look-ups ---
    Mutant(
        "look-up-by-raw-key",
        "key look-up = where on compare cells",
        LOOKUPS,
        "return conjunction(*(bind(rule.clear, resource) for rule in rules))",
        "return conjunction(*(bind(relation.row, resource) for rule in rules))",
        leak=True,
    ),
    Mutant(
        "entities-without-key-check",
        "case 28: a representation by a key that is not clear finds nothing",
        ENTITIES,
        "        at,\n        where=where,\n        links=link_columns(resource, key.items),",
        "        at,\n        links=link_columns(resource, key.items),",
        leak=True,
    ),
    Mutant(
        "key-checked-by-its-first-item",
        "a key is used whole",
        LOOKUPS,
        "    rules = [relation.items[name] for name in key.items]\n    for rule",
        "    rules = [relation.items[name] for name in key.items[:1]]\n    for rule",
        leak=True,
    ),
    # --- figures ---
    Mutant(
        "groups-by-raw-column",
        "case 6: hidden and real nulls share one group",
        AGGREGATES,
        "        groups.append((item, cell))",
        "        groups.append((item, item.column))",
        leak=True,
    ),
    Mutant(
        "figures-of-raw-columns",
        "case 7: inputs of aggregates are guarded inside the aggregate",
        AGGREGATES,
        "            cell = self.planning.cell(self.resource, what.item, Use.AGGREGATE, here)\n",
        "            self.planning.cell(self.resource, what.item, Use.AGGREGATE, here)\n"
        "            cell = what.item.column\n",
        leak=True,
    ),
    Mutant(
        "figures-without-row-rule",
        "case 13: aggregates obey the row rule",
        AGGREGATES,
        "            visible=bind(planning.relation_of(resource).row, resource),\n",
        "",
        leak=True,
    ),
    # --- published cubes ---
    Mutant(
        "cube-without-smallest-cell",
        "case 37: cells under the minimum size are dropped",
        "authz/cubes.py",
        "    if number < statistics.minimum_cell:\n        return None\n",
        "",
        leak=True,
    ),
    Mutant(
        "cube-without-rounding",
        "case 37: sums are rounded to a base",
        "authz/cubes.py",
        "return round(total / Fraction(base)) * base",
        "return round(total * 10**6) / Decimal(10**6)",
        leak=True,
    ),
    Mutant(
        "cube-beside-reading",
        "cubes: never merged with reading",
        "authz/visible.py",
        "if self.row != FALSE and all(self.items[name].clear != FALSE for name in items):",
        "if self.row != FALSE and items and all(self.items[name].clear != FALSE for name in items):",
    ),
    # --- quotas ---
    Mutant(
        "quota-not-charged-beyond-relations",
        "case 35: of a relation the far end's grants count the rows beyond it",
        ROWS,
        "    planning.told(link.far)\n    call = _linked(",
        "    call = _linked(",
    ),
    Mutant(
        "request-not-counted",
        "case 35: one request per operation",
        METERING,
        "return Counts(rows, 1, rows)",
        "return Counts(rows, 0, rows)",
    ),
    Mutant(
        "quota-reserved-for-one-parent",
        "case 35: reserved is the page size times that of the parents",
        "resolvers/execution.py",
        "return own + sum([self._bound(child, own, metered) for child in call.children])",
        "return own + sum([self._bound(child, 1, metered) for child in call.children])",
    ),
)
