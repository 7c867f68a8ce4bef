"""What `explainAccess` tells is what happens: rows, masks, clauses, grants, codes, words, both ends of relations."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from authz.explain import Verdict
from authz.grants import PRECEDENCE
from authz.visible import Use
from resolvers.limits import Limits
from tanglai.catalogue.documents_grant import MINIMUM_CELL
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import Expression, ItemRef, Or, leaves
from tanglai.catalogue.model import Code, Item, Period, Quota, Relation, Resource, Statistics, Usage
from tanglai.catalogue.naming import aggregate_field_name, enum_value_name, lookup_field_name
from tanglai.catalogue.predicates import predicate_from_document
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.catalogues import DIVISIONS, population, resource_code
from tests.gateways import PURPOSE, Answer, World, make_grant, requester
from tests.oracle.dice import Dice, by_dice
from tests.oracle.examples import Readable
from tests.oracle.examples import told as lines_of
from tests.oracle.pools import operands
from tests.oracle.predicates import render, truth
from tests.oracle.sight import choose_purpose
from tests.oracle.worlds import USUAL, Asker, Drawn, some_asker, world
from tests.unit.resolvers.conftest import rows

SETTINGS = settings(
    phases=(Phase.generate,),
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
EXPLAIN = """
query ($resource: ID!, $purpose: String) {
  explainAccess(resource: $resource, purpose: $purpose) {
    rows { ...rows } denial { ...denial }
    items {
      name verdict rows clear { ...rows } masked { mask rows { ...rows } } masks usable grants article scopeDiscloses
      denial { ...denial } useDenial { ...denial } statistics { grant dimensions measures rows }
    }
    relations { name targetCode verdict rows near { ...rows } far { ...rows } grants denial { ...denial } }
  }
}
fragment rows on RowSet { words where discloses }
fragment denial on Denial {
  code resourceCode item article reason grants
  remedy { action words department { code } resourceCode items relations mutation replyWithin }
}"""
QUOTAS = "quotas { grant rows limits { rows } remaining { rows } }"
RESIDENT = resource_code("resident")
NOTHING, EVERYTHING = '{"or": []}', "{}"
DIVISIONS_BY_CODE = {division.code: division for division in DIVISIONS}
OTHER_CODES = (ErrorCode.OUT_OF_ZONE, ErrorCode.SCOPE_EXCEEDED, ErrorCode.NOT_SHARED, ErrorCode.GRANT_REQUIRED)
PAGE = 100  # more rows than any table has


@dataclass(frozen=True)
class Trial(Readable):
    """A world, who asks in it, in which language; `dice` chooses what is tried."""

    drawn: Drawn
    askers: tuple[tuple[Asker, str], ...]
    dice: Dice

    def __repr__(self) -> str:
        who = [f"{asker} in {language}" for asker, language in self.askers]
        return "\n".join(["", *lines_of(self.drawn), *who])


def trial(dice: Dice) -> Trial:
    drawn = world(dice, USUAL)
    drawn = replace(
        drawn, grants=tuple(replace(grant, quota=None) for grant in drawn.grants)
    )  # quotas are no part of V
    if dice.chance(1, 2):
        drawn = counted(dice, drawn)
    if dice.chance(1, 4):
        drawn = masked(dice, drawn)
    who: list[Asker] = []
    for _ in range(dice.number(1, 3)):
        who.append(some_asker(dice, drawn, who))
    in_time = sorted(who, key=lambda asker: asker.now)
    return Trial(drawn, tuple((asker, dice.pick(("en", "zh"))) for asker in in_time), dice)


def counted(dice: Dice, drawn: Drawn) -> Drawn:
    """The same world with a grant for statistics on some resource."""
    resource = dice.pick(list(drawn.snapshot.resources.values()))
    dimension = dice.pick([item for item in resource.items if item.type in (ScalarType.TEXT, ScalarType.INTEGER)])
    codes = tuple(Code(str(value), "code") for value in operands(dimension)[:3])
    items = tuple(replace(item, codes=codes) if item is dimension else item for item in resource.items)
    changed = replace(resource, items=items)
    measures = [item.name for item in items if item.type.numeric and item.name != dimension.name][:1]
    terms = Statistics((dimension.name,), tuple(measures), Period.MONTH, MINIMUM_CELL, 1, Decimal(1))
    grant = make_grant(
        resource.code,
        " ".join([dimension.name, *measures]),
        id="s1",
        usage=Usage.STATISTICS,
        statistics=terms,
        basis=dice.pick([grant.basis for grant in drawn.grants] or [make_grant(resource.code).basis]),
    )
    snapshot = replace(drawn.snapshot, resources={**drawn.snapshot.resources, resource.code: changed})
    grants = tuple(g for g in drawn.grants if g.usage is not Usage.STATISTICS)
    return replace(drawn, snapshot=snapshot, grants=(*grants, grant))


def masked(dice: Dice, drawn: Drawn) -> Drawn:
    """The same world with a mask on every text that has one, and fewer items besides."""
    grants = []
    for grant in drawn.grants:
        by_name = drawn.snapshot.resources[grant.resource].item_by_name
        masks = {name: dice.pick(by_name[name].masks).name for name in sorted(grant.items) if by_name[name].masks}
        if grant.usage is Usage.READ and masks:
            grant = replace(grant, masks=masks, items=frozenset(masks))
        grants.append(grant)
    return replace(drawn, grants=tuple(grants))


class Told:
    """What `explainAccess` tells one asker of one resource, read on the rows of the table."""

    def __init__(
        self, resource: Resource, table: list[dict[str, Any]], report: Mapping[str, Any], secret: bytes
    ) -> None:
        self.resource = resource
        self.report = report
        self.secret = secret
        self.items = {access["name"]: access for access in report["items"]}
        self.relations = {access["name"]: access for access in report["relations"]}
        self.raw = [{item.name: row[item.column.name] for item in resource.items} for row in table]
        self.visible = self.hold(report["rows"])

    def hold(self, rows: Mapping[str, str]) -> list[bool]:
        """Which rows of the table are in a `RowSet`."""
        scope = predicate_from_document(json.loads(rows["where"]), self.resource)
        return [truth(scope, row, {}, DIVISIONS_BY_CODE) is True for row in self.raw]

    def shown(self, item: Item) -> list[Any]:
        """The item's shown cell of every row, as JSON; None where it is hidden."""
        access = self.items[item.name]
        clear = self.hold(access["clear"])
        masked = [(one["mask"], self.hold(one["rows"])) for one in access["masked"]]
        cells: list[Any] = []
        for number, row in enumerate(self.raw):
            mask = next((name for name, holds in masked if holds[number]), None)
            if clear[number]:
                cells.append(to_json(item.type, row[item.name]))
            elif mask is not None:
                cells.append(render(item.mask(mask), row[item.name], self.secret))  # type: ignore[arg-type]
            else:
                cells.append(None)
        return cells

    def somewhere(self, item: Item) -> list[bool]:
        access = self.items[item.name]
        sets = [self.hold(access["clear"]), *(self.hold(one["rows"]) for one in access["masked"])]
        return [any(column) for column in zip(*sets, strict=True)]

    def links(self, relation: Relation, far: "Told") -> list[int]:
        """How many rows lie beyond the relation, for every row."""
        access = self.relations[relation.name]
        near_holds, far_holds = self.hold(access["near"]), far.hold(access["far"])
        beyond = Counter(
            tuple(row[name] for name in relation.target_items)
            for row, visible, holds in zip(far.raw, far.visible, far_holds, strict=True)
            if visible and holds
        )
        keys = [tuple(row[name] for name in relation.items) for row in self.raw]
        follows = zip(keys, self.visible, near_holds, strict=True)
        return [beyond[key] if visible and holds and None not in key else 0 for key, visible, holds in follows]


class Examiner:
    """Holds one asker's explanations against queries. `seen` counts what was met."""

    def __init__(
        self, drawn: Drawn, asker: Asker, language: str, over: World, dice: Dice, seen: "Counter[str]"
    ) -> None:
        self.drawn, self.asker, self.language, self.over, self.dice = drawn, asker, language, over, dice
        self.seen = seen
        self.told: dict[str, Told] = {}

    async def ask(self, text: str, variables: Mapping[str, Any] | None = None, language: str | None = None) -> Answer:
        self.over.replica.now = self.asker.now
        extensions = {} if self.asker.extension is None else {"purpose": self.asker.extension}
        return await self.over.ask(
            text,
            variables,
            who=self.asker.principal,
            purpose=self.asker.header,
            extensions=extensions,
            language=language or self.language,
        )

    async def examine(self) -> None:
        _, refusal = choose_purpose(self.asker.principal, self.drawn.snapshot, self.asker.header, self.asker.extension)
        if refusal is not None:
            answer = await self.ask(EXPLAIN, {"resource": next(iter(self.drawn.snapshot.resources))})
            assert answer.codes == [refusal]
            return
        department = self.asker.principal.department.code.encode()
        secret = hmac.new(b"mask secret", b"mask\0" + department, hashlib.sha256).digest()
        for resource in self.drawn.snapshot.resources.values():
            answer = await self.ask(EXPLAIN, {"resource": resource.code})
            assert answer.errors == [], answer.errors
            assert self.over.sources.calls == [], "the dry run touched a source"
            table = self.drawn.rows[resource.binding.source][resource.binding.table]
            self.told[resource.code] = Told(resource, table, answer.data["explainAccess"], secret)
            other = await self.ask(EXPLAIN, {"resource": resource.code}, "zh" if self.language == "en" else "en")
            assert wordless(other.data) == wordless(answer.data), "the languages differ in more than words"
        for told in self.told.values():
            self.consistent(told)
            if told.report["denial"] is not None:
                await self.nothing(told)
                continue
            await self.rows(told)
            for item in told.resource.items:
                await self.uses(told, item)
            for relation in told.resource.relations:
                await self.relation(told, relation)

    def consistent(self, told: Told) -> None:
        """What is told fits together."""
        for kind, found in (("item", told.items), ("relation", told.relations)):
            for access in found.values():
                self.seen[f"{kind} {access['verdict']}"] += 1
                self.seen[f"denied {(access['denial'] or {}).get('code')}"] += 1
                if kind == "relation" and access["denial"] and access["denial"]["resourceCode"] != told.resource.code:
                    self.seen["relation denied by the far end"] += 1
        shown = [told.somewhere(item) for item in told.resource.items]
        assert told.visible == [any(column) for column in zip(*shown, strict=True)], "a row is visible by its items"
        self.seen["visible by a mask"] += any(told.visible) and not any(
            any(told.hold(access["clear"])) for access in told.items.values()
        )
        for item in told.resource.items:
            access = told.items[item.name]
            clear, masks = access["clear"]["where"], access["masks"]
            assert masks == [one["mask"] for one in access["masked"]]
            assert masks == [named.name for named in item.masks if named.name in masks], "the weakest first"
            match access["verdict"]:
                case "ALL":
                    assert (clear, masks) == (EVERYTHING, [])
                    assert all(told.visible)
                case "SOME_ROWS":
                    assert clear not in (EVERYTHING, NOTHING)
                case "MASKED":
                    assert clear == NOTHING
                    assert masks
                case verdict:
                    assert (clear, masks) == (NOTHING, [])
                    assert (access["statistics"] is not None) is (verdict == "STATISTICS")
            hidden = access["verdict"] in ("NONE", "STATISTICS")
            assert (access["denial"] is not None) is hidden
            assert ("SELECT" in access["usable"]) is not hidden
            assert (access["useDenial"] is None) is ("WHERE" in access["usable"])
            self.disclosed(told, access)
        for relation in told.resource.relations:
            links = told.relations[relation.name]
            far = self.told[relation.target]
            if links["verdict"] == "ALL":
                assert (links["near"]["where"], links["far"]["where"]) == (EVERYTHING, EVERYTHING)
                assert all(told.visible)
                assert all(far.visible)
            if NOTHING in (told.report["rows"]["where"], far.report["rows"]["where"]):
                assert links["verdict"] == "NONE"
            if links["verdict"] == "NONE":
                assert links["denial"] is not None or not any(told.visible) or not any(far.visible)
            else:
                assert links["denial"] is None

    def disclosed(self, told: Told, access: Mapping[str, Any]) -> None:
        """No scope that is told tests an item on a row where it is hidden, unless that is told too."""
        documents = [access["clear"]["where"], *(one["rows"]["where"] for one in access["masked"])]
        scopes = [predicate_from_document(json.loads(where), told.resource) for where in documents]
        if access["verdict"] == "STATISTICS":
            scopes = [grant.scope for grant in self.drawn.grants if grant.id == access["statistics"]["grant"]]
        parts = [part for scope in scopes for part in (scope.parts if isinstance(scope, Or) else [scope])]
        department = self.asker.principal.department
        attributes = {"department.code": department.code, "department.division": department.division}
        for part in parts:
            holds = [truth(part, row, attributes, DIVISIONS_BY_CODE) is True for row in told.raw]
            for name in items_of(part):
                clear = told.hold(told.items[name]["clear"])
                if any(here and not open_ for here, open_ in zip(holds, clear, strict=True)):
                    assert name in access["scopeDiscloses"], f"{part} discloses {name}"
                    self.seen["discloses"] += 1
        assert set(access["scopeDiscloses"]) <= {name for part in parts for name in items_of(part)}

    async def nothing(self, told: Told) -> None:
        """Nothing of the resource can be had: by the list, and, where it is of another zone, by a row's id."""
        names, handle, denial = told.resource.names, told.resource.binding.handle, told.report["denial"]
        table = self.drawn.rows[told.resource.binding.source][told.resource.binding.table]
        answer = await self.ask(f"{{ data {{ {names.group} {{ {names.list} {{ nodes {{ __typename }} }} }} }} }}")
        if denial["code"] == "OUT_OF_ZONE":
            assert answer.codes == ["BAD_INPUT"]  # the schema has no such field
            if handle is not None and table:
                id = self.over.gateway._seals.seal("r", b"", [told.resource.code, table[0][handle.name]])
                answer = await self.ask("query($id: ID!) { node(id: $id) { __typename } }", {"id": id})
                assert answer.data == {"node": None}
                same_denial(denial, answer.errors[0])
        else:
            assert answer.data["data"][names.group][names.list] is None
            [error] = answer.errors
            same_denial(denial, error)
        assert self.over.sources.calls == []
        for access in (*told.items.values(), *told.relations.values()):
            assert access["denial"] == denial

    async def rows(self, told: Told) -> None:
        """All items and relations of all rows at once."""
        resource = told.resource
        fields = [item.graphql for item in resource.items]
        for relation in resource.relations:
            fields.append(
                relation.graphql
                + (f"(first: {PAGE}) {{ nodes {{ __typename }} }}" if relation.many else " { __typename }")
            )
        answer = await self.ask(listed(resource, " ".join(fields)))
        nodes = answer.data["data"][resource.names.group][resource.names.list]["nodes"]
        columns = [told.shown(item) for item in resource.items]
        columns += [told.links(relation, self.told[relation.target]) for relation in resource.relations]
        expected = [values for values, visible in zip(zip(*columns, strict=True), told.visible, strict=True) if visible]
        got = []
        for node in nodes:
            values = [node[item.graphql] for item in resource.items]
            values += [beyond(node[relation.graphql], relation) for relation in resource.relations]
            got.append(values)
        assert Counter(map(as_text, expected)) == Counter(map(as_text, got)), (expected, got)
        base = f"data.{resource.names.group}.{resource.names.list}.nodes."
        parts = {item.graphql: told.items[item.name] for item in resource.items}
        parts |= {relation.graphql: told.relations[relation.name] for relation in resource.relations}
        errors = {error["extensions"]["fieldPath"]: error for error in answer.errors}
        assert len(errors) == len(answer.errors)
        denied = {base + name: access["denial"] for name, access in parts.items() if access["denial"] is not None}
        assert errors.keys() == denied.keys()
        for path, denial in denied.items():
            same_denial(denial, errors[path])
        granted = {id for access in parts.values() if access["denial"] is None for id in access["grants"]}
        assert set(answer.extensions["grants"]) == granted
        masked = {base + item.graphql for item in resource.items if told.items[item.name]["masks"]}
        assert set(answer.extensions["masked"]) == masked

    async def uses(self, told: Told, item: Item) -> None:
        """One item alone, in one or two of the places where the schema takes it."""
        access, names = told.items[item.name], told.resource.names
        forms = dict(self.forms(told.resource, item))
        offered = {"SELECT", "WHERE", *forms}
        assert set(access["usable"]) <= offered, "usable where there is no such thing"
        for use in self.dice.some(sorted(offered), 1, 2):
            if use == "SELECT":
                answer = await self.ask(listed(told.resource, item.graphql))
                assert (answer.errors == []) is (use in access["usable"])
                assert set(answer.extensions["grants"]) == (set(access["grants"]) if answer.errors == [] else set())
                continue
            form = (
                forms.get(use)
                or f"{names.list}(where: {{{item.graphql}: {{isNull: true}}}}) {{ nodes {{ __typename }} }}"
            )
            answer = await self.ask(f"{{ data {{ {names.group} {{ {form} }} }} }}")
            if use == "KEY":
                self.looked_up(told, item, answer)
            elif use in access["usable"]:
                assert answer.errors == [], (use, answer.errors)
                assert set(answer.extensions["grants"]) == set(access["grants"]), use
                self.seen[f"used {use}"] += 1
            elif use in ("GROUP", "AGGREGATE") and counts(access, item, use):
                assert answer.errors == [], (use, answer.errors)
                assert answer.extensions["grants"] == [access["statistics"]["grant"]]
                self.seen[f"counted {use}"] += 1
            else:
                self.refused(access, answer, published=use in ("GROUP", "AGGREGATE"))
                self.seen[f"refused {use}"] += 1

    def forms(self, resource: Resource, item: Item) -> Iterator[tuple[str, str]]:
        names, name = resource.names, item.graphql
        if item.type.comparable:
            figures = aggregate_field_name(names)
            yield "ORDER", f"{names.list}(orderBy: [{{{name}: DESC}}]) {{ nodes {{ __typename }} }}"
            yield "GROUP", f"{figures}(groupBy: [{enum_value_name(name)}]) {{ count }}"
            function = "sum" if item.type.numeric else "countDistinct"
            yield "AGGREGATE", f"{figures} {{ {function} {{ {name} }} }}"
        for key in resource.keys:
            if item.name in key.items:
                parts = [resource.item_by_name[part] for part in key.items]
                given = ", ".join(f"{part.graphql}: {literal(part)}" for part in parts)
                yield "KEY", f"{lookup_field_name(resource, key)}({given}) {{ __typename }}"

    def looked_up(self, told: Told, item: Item, answer: Answer) -> None:
        """A key is looked up by where each of its items may be; the first that may not is told."""
        key = [key for key in told.resource.keys if item.name in key.items][-1]
        denied = [told.items[name] for name in key.items if "KEY" not in told.items[name]["usable"]]
        self.seen["refused KEY" if denied else "used KEY"] += 1
        if denied:
            self.refused(denied[0], answer)
        else:
            assert answer.errors == []
            assert set(answer.extensions["grants"]) == {id for name in key.items for id in told.items[name]["grants"]}

    def refused(self, access: Mapping[str, Any], answer: Answer, *, published: bool = False) -> None:
        assert "data" not in answer.body, "should be refused"
        assert self.over.sources.calls == [], "a refused operation touched a source"
        [error] = answer.errors
        if published and access["statistics"] is not None and error["extensions"]["code"] == "STATISTICS_ONLY":
            return  # the cube has the item, but not for this
        same_denial(access["useDenial"], error)

    async def relation(self, told: Told, relation: Relation) -> None:
        """One relation alone: followed, or in a filter."""
        access, names = told.relations[relation.name], told.resource.names
        across = self.told[relation.target].resource.binding.source != told.resource.binding.source
        if self.dice.chance(1, 2):
            inner = "{ nodes { __typename } }" if relation.many else "{ __typename }"
            answer = await self.ask(listed(told.resource, f"{relation.graphql} {inner}"))
            granted = answer.errors == []
            if not granted:
                same_denial(access["denial"], answer.errors[0])
        else:
            form = f"{names.list}(where: {{{relation.graphql}: {{some: {{}}}}}}) {{ nodes {{ __typename }} }}"
            answer = await self.ask(f"{{ data {{ {names.group} {{ {form} }} }} }}")
            granted = answer.errors == []
            if not granted and access["denial"] is None:
                assert (answer.codes, across, len(relation.items) > 1) == (["CAPABILITY_MISSING"], True, True)
                return
            if not granted:
                same_denial(access["denial"], answer.errors[0])
        assert granted is (access["denial"] is None)
        if granted:
            assert set(answer.extensions["grants"]) == set(access["grants"])


def wordless(report: Any) -> Any:
    """A report without what is said in words."""
    if isinstance(report, dict):
        kept = {name: wordless(part) for name, part in report.items() if name not in ("words", "reason", "rows")}
        return kept if not isinstance(report.get("rows"), dict) else kept | {"rows": wordless(report["rows"])}
    return [wordless(part) for part in report] if isinstance(report, list) else report


def same_denial(denial: Mapping[str, Any] | None, error: Mapping[str, Any]) -> None:
    """An error of a query says what the denial says, word by word."""
    assert denial is not None, error
    told, remedy, other = error["extensions"], denial["remedy"], error["extensions"]["remedy"]
    assert [denial[name] for name in ("code", "article", "reason", "grants")] == [
        told[name] for name in ("code", "article", "reason", "grants")
    ]
    assert (denial["resourceCode"], denial["item"]) == (told["resource"], told["item"])
    assert denial["reason"], denial
    assert (remedy is None) is (other is None)
    if remedy is not None:
        assert remedy["words"], denial
        names = ("action", "words", "items", "relations", "mutation")
        assert [remedy[name] for name in names] == [other[name] for name in names]
        assert (remedy["resourceCode"], remedy["replyWithin"]) == (other["resource"], other["replyWithinWorkingDays"])
        assert (remedy["department"] or {}).get("code") == other["department"]


def listed(resource: Resource, fields: str) -> str:
    names = resource.names
    return f"{{ data {{ {names.group} {{ {names.list}(first: {PAGE}) {{ nodes {{ {fields} }} }} }} }} }}"


def beyond(value: Any, relation: Relation) -> int:
    if value is None:
        return 0
    return len(value["nodes"]) if relation.many else 1


def as_text(values: Any) -> str:
    return json.dumps(list(values), ensure_ascii=False, sort_keys=True)


def literal(item: Item) -> str:
    return json.dumps(to_json(item.type, operands(item)[0]), ensure_ascii=False)


def counts(access: Mapping[str, Any], item: Item, use: str) -> bool:
    """Whether a published cube answers: dimensions are grouped by, measures are summed."""
    terms = access["statistics"]
    return terms is not None and item.name in terms["dimensions" if use == "GROUP" else "measures"]


def items_of(scope: Expression) -> set[str]:
    return {leaf.name for leaf in leaves(scope, ItemRef)}


async def examined(trial: Trial, seen: "Counter[str]") -> None:
    over = World(trial.drawn.snapshot, trial.drawn.rows, trial.drawn.grants, limits=Limits(rows=10**9))
    for asker, language in trial.askers:
        await Examiner(trial.drawn, asker, language, over, trial.dice, seen).examine()


def test_what_is_explained_is_what_happens() -> None:
    seen: Counter[str] = Counter()

    @settings(SETTINGS, max_examples=80)
    @given(by_dice(trial))
    def hold(trial: Trial) -> None:
        asyncio.run(examined(trial, seen))

    hold()
    wanted = {f"item {verdict}" for verdict in Verdict} | {f"relation {v}" for v in ("ALL", "SOME_ROWS", "NONE")}
    wanted |= {f"denied {code}" for code in (*PRECEDENCE, *OTHER_CODES) if code is not ErrorCode.QUOTA_EXCEEDED}
    wanted |= {f"{way} {use}" for way in ("used", "refused") for use in Use if use is not Use.SELECT}
    wanted |= {"relation denied by the far end", "visible by a mask", "discloses", "counted GROUP", "counted AGGREGATE"}
    assert wanted <= seen.keys(), sorted(wanted - seen.keys())


async def test_a_purpose_that_the_token_does_not_allow_is_denied_like_the_query() -> None:
    over = World(population(), rows(), [make_grant(RESIDENT, "height", purpose="licensing")])
    variables = {"resource": RESIDENT, "purpose": "licensing"}
    report = (await over.ask(EXPLAIN, variables)).data["explainAccess"]
    assert report["denial"]["code"] == "PURPOSE_MISMATCH"
    assert report["denial"]["reason"] == "the token does not allow this purpose"
    assert report["denial"]["remedy"]["words"] == "use a token that allows the purpose"
    assert {access["verdict"] for access in (*report["items"], *report["relations"])} == {"NONE"}
    assert (await over.ask("{ data { id } }", purpose="licensing")).codes == ["PURPOSE_MISMATCH"]
    both = requester(purposes=frozenset({PURPOSE, "licensing"}))
    report = (await over.ask(EXPLAIN, variables, who=both)).data["explainAccess"]
    assert report["denial"] is None
    assert {item["name"]: item["verdict"] for item in report["items"]}["height"] == "ALL"


async def test_quotas_change_no_verdict_and_are_told_beside() -> None:
    over = World(population(), rows(), [make_grant(RESIDENT, "height", quota=Quota(rows=3))])
    text = f'{{ explainAccess(resource: "{RESIDENT}", items: ["height", "name"]) {{ {QUOTAS} items {{ verdict }} }} }}'
    query = "{ data { population { residents(first: 3) { nodes { height } } } } }"
    before = await over.ask(text)
    assert (await over.ask(query)).errors == []
    after, refused = await over.ask(text), await over.ask(query)
    assert refused.codes == ["QUOTA_EXCEEDED"]
    told = [answer.data["explainAccess"] for answer in (before, after)]
    assert [one["items"] for one in told] == [[{"verdict": "ALL"}, {"verdict": "ALL"}]] * 2
    assert [one["quotas"] for one in told] == [
        [{"grant": "g1", "rows": used, "limits": {"rows": 3}, "remaining": {"rows": 3 - used}}] for used in (0, 3)
    ]
    only = await over.ask(text.replace('"height", ', ""))
    assert only.data["explainAccess"]["quotas"] == []  # nothing that is named rests on the grant
