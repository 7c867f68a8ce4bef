"""What the running demo answers: shapes, caches, hidden rows, quotas, statistics, values."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed

from demo.data.names import EDUCATION
from tests.attack.book import Book
from tests.attack.running_demo import Demo, Reply
from tests.attack.test_demo import LAND, PENSION, PHONE, PHONES, TAX, shows_phones

book = Book(__name__, "The running demo: its answers")
row = book.row

COUNTING = ("data-office", "POPULATION-ANALYSIS")


# --- shapes ------------------------------------------------------------------------------------------------------


def nested(depth: int, inner: str) -> str:
    for number in range(depth):
        inner = f"... on {('Node', 'Resident')[number % 2]} {{ {inner} }}"
    return inner


SHAPES = [
    row(1051, "`node` with the item in fragments on the interface and back, nine deep", "one choke point",
        f"query($n: ID!) {{ node(id: $n) {{ {nested(9, '... on Resident { phone }')} }} }}"),
    row(1052, "The item under the aliases of others, the others under its alias", "aliases name nothing",
        "query($n: ID!) { node(id: $n) { ... on Resident { name: phone idNumber: phone phone: __typename } } }"),
    row(1053, "The item in a fragment that a variable switches on twice", "directives fetch nothing ungated",
        "query($n: ID!, $t: Boolean = true) { node(id: $n) { ...F @include(if: $t) @skip(if: false) } } "
        "fragment F on Resident { ...G @include(if: $t) } fragment G on Resident { phone }"),
    row(1054, "By way of a vehicle and its keeper", "each hop decides",
        "query($id: String!) { data { population { resident(idNumber: $id) { vehicles { nodes { owner "
        "{ phone } } } } } } }"),
    row(1055, "By way of a company and who represents it", "each hop decides",
        "query($id: String!) { data { population { resident(idNumber: $id) { companies { nodes { representative "
        "{ phone companies { nodes { representative { phone } } } } } } } } } }"),
    row(1056, "By `_entities`", "one choke point",
        'query($id: String!, $r: [_Any!]!) { _entities(representations: $r) { ... on Resident { phone } } '
        "data { population { resident(idNumber: $id) { phone } } } }"),
    row(1057, "By the largest in a group of one", "aggregates take compare cells",
        "query($id: String!) { data { population { residentsAggregate(where: {idNumber: {eq: $id}}) "
        "{ max { phone } } } } }"),
    row(1058, "With a question about the schema beside it", "a rider skips no check",
        "query($id: String!) { __schema { queryType { name } } __type(name: \"Resident\") { name } "
        "data { population { resident(idNumber: $id) { phone } } } }"),
    row(1059, "With the federation's schema beside it", "a rider skips no check",
        "query($id: String!) { _service { sdl } data { population { resident(idNumber: $id) { phone } } } }"),
]  # fmt: skip


@pytest.mark.parametrize("query", SHAPES)
def test_shapes(demo: Demo, owner: dict[str, Any], query: str) -> None:
    find = "query($id: String!) { data { population { resident(idNumber: $id) { id } } } }"
    id = demo.ask(find, demo.token(*TAX), owner).body["data"]["data"]["population"]["resident"]["id"]
    every = {**owner, "n": id, "r": [{"__typename": "Resident", "idNumber": owner["id"]}]}
    variables = {name: value for name, value in every.items() if f"${name}" in query}
    for _ in range(2):
        allowed = demo.ask(query, demo.token(*PENSION), variables)
        refused = demo.ask(query, demo.token(*TAX), variables)
        assert not shows_phones(refused), refused.raw
        assert "GRANT_REQUIRED" in refused.codes
        if not {"vehicles", "companies"} & set(query.replace("(", " ").split()):
            assert shows_phones(allowed), allowed.raw  # positive twin, and the caches are warm with it


@book.attempt(1060, "Many principals at once with the same documents and variables", "the plan's key holds it all")
def test_caches_between_principals(demo: Demo) -> None:
    dice = Random(1060)
    people = [one for one in demo.world.residents[:3000] if one.phone]
    tokens = {who: demo.token(*who) for who in (TAX, PENSION, ("market-regulation", "ENTERPRISE-SUPERVISION"), LAND)}
    tokens["public-security", "own"] = demo.token("public-security", "TAX-COLLECTION", roles=("data.own",))

    def one(_: int) -> None:
        person, who = dice.choice(people), dice.choice(list(tokens))
        reply = demo.ask(PHONE, tokens[who], {"id": person.id_number})
        phone = reply.body["data"]["data"]["population"]["resident"]["phone"]
        if who[0] == "public-security":
            assert phone == person.phone
        elif who == PENSION:
            assert phone == (person.phone if person.division.startswith("6401") else None)
        elif who[0] == "market-regulation":
            assert phone is not None
            assert person.phone is not None
            assert phone != person.phone
            assert (phone[:3], phone[-4:]) == (person.phone[:3], person.phone[-4:])
        else:
            assert phone is None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))


@book.attempt(1061, "Documents that differ in a space, a comment or an operation's name", "a plan is of the very text")
def test_documents_that_look_alike(demo: Demo, owner: dict[str, Any]) -> None:
    one = "query A($id: String!) { data { population { resident(idNumber: $id) { name } } } }"
    two = "query B($id: String!) { data { population { resident(idNumber: $id) { name: phone } } } }"
    for document, name in (
        (f"{one} {two}", "A"),
        (f"{one}  {two}", "B"),
        (f"{one} #\n{two}", "B"),
        (f"{one} {two}", "B"),
    ):
        reply = demo.ask(document, demo.token(*TAX), owner, operationName=name)
        shown = reply.body["data"]["data"]["population"]["resident"]["name"]
        assert (shown is None) == (name == "B")


# --- hidden rows of real databases -------------------------------------------------------------------------------

HIDDEN = [
    row(1062, "Look for phones that exist where they may not be seen, and for such that do not exist", "compare cells",
        PHONES, "eq", "phone"),
    row(1063, "The same by their beginning", "compare cells", PHONES, "startsWith", "phone"),
    row(1064, "The same by counting", "compare cells",
        "query($w: ResidentWhere) { data { population { residentsAggregate(where: $w) { count "
        "countValues { phone } } } } }",
        "eq", "phone"),
    row(1065, "The same by page flags", "compare cells",
        "query($w: ResidentWhere) { data { population { residents(first: 0, where: $w) { totalCount pageInfo "
        "{ hasNextPage hasPreviousPage endCursor } } } } }", "in", "phone"),
    row(1066, "The same for addresses", "compare cells", PHONES, "eq", "currentAddress"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "operator", "item"), HIDDEN)
def test_hidden_and_absent_answer_alike(demo: Demo, query: str, operator: str, item: str) -> None:
    """Social Security sees phones of Yinchuan and addresses of Zhongwei; byte for byte, the request's id aside."""
    shown = "6401" if item == "phone" else "6405"
    rows = [one for one in demo.world.residents if not one.division.startswith(shown)]
    known = {one.current_address for one in demo.world.residents if one.division.startswith(shown)}
    values = [one.phone if item == "phone" else one.current_address for one in rows[:4000:400]]
    hidden = [value for value in values if value is not None and value not in known]
    absent = [f"129{n:08d}" if item == "phone" else f"月球{n}号" for n in range(3)]
    token = demo.token(*PENSION)

    def where(value: str) -> dict[str, Any]:
        return {"w": {item: {operator: [value] if operator == "in" else value}}}

    answers = {demo.ask(query, token, where(value)).bare for value in (*hidden, *absent)}
    assert len(hidden) > 3
    assert len(answers) == 1
    visible = next(
        one for one in demo.world.residents
        if one.division.startswith(shown) and (one.phone if item == "phone" else one.current_address)
    )  # fmt: skip
    seen = visible.phone if item == "phone" else visible.current_address
    assert seen is not None
    assert demo.ask(query, token, where(seen)).bare not in answers  # positive twin


@book.attempt(1067, "Other departments' grants in `explainAccess` and `me`", "one's own only")
def test_what_is_told_about_grants(demo: Demo) -> None:
    everything = (
        '{ explainAccess(resource: "1010101/1") { items { name verdict rows grants denial { grants reason } } '
        "relations { name grants rows } } me { grants(first: 100) { nodes { id } } } }"
    )
    for who, own in ((TAX, {"G-2026-001", "G-2026-002"}), (LAND, {"G-2026-053"})):
        reply = demo.ask(everything, demo.token(*who))
        assert reply.status == 200
        assert not shows_phones(reply)
        assert all(id.encode() in reply.raw for id in own)
        for other in ("G-2026-011", "G-2026-021", "G-2026-061", "G-2026-071", "G-2026-081"):
            assert other.encode() not in reply.raw


# --- a quota of three rows and twenty requests -------------------------------------------------------------------

LETTERS = (
    "query($ids: [String!]!) { data { population { residents(first: 2, where: {idNumber: {in: $ids}}) "
    "{ nodes { currentAddress } } } } }"
)
LETTER = "query($id: String!) { data { population { resident(idNumber: $id) { currentAddress } } } }"


@book.attempt(1068, "Clients at once, by POST, GET and WebSocket, by list, key, entity and alias", "three rows a day")
def test_three_addresses_a_day(demo: Demo) -> None:
    token = demo.token(*LAND)
    homes = {one.current_address: one for one in demo.world.residents[:2000] if one.current_address}
    people = list(homes.values())[:60]
    by_alias = (
        "query($a: String!, $b: String!) { data { population { "
        + " ".join(f"{n}: resident(idNumber: ${n}) {{ x: currentAddress }}" for n in "ab")
        + " } } }"
    )
    by_entity = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Resident { currentAddress } } }"

    def get(one: Any) -> Reply:
        path = f"/graphql?query={quote(LETTER)}&variables={quote(json.dumps({'id': one.id_number}))}"
        return demo.send("GET", path, [("Authorization", f"Bearer {token}")])

    def by_socket(one: Any) -> Reply:
        with demo.socket(Authorization=f"Bearer {token}") as line:
            line.send(json.dumps({"type": "connection_init"}))
            line.recv(timeout=30)
            asked = {"query": LETTER, "variables": {"id": one.id_number}}
            line.send(json.dumps({"id": "1", "type": "subscribe", "payload": asked}))
            return Reply(200, str(line.recv(timeout=30)).encode(), {})

    def ask(number: int) -> Reply:
        one, other = people[2 * number], people[2 * number + 1]
        match number % 6:
            case 0:
                return demo.ask(LETTER, token, {"id": one.id_number})
            case 1:
                return get(one)
            case 2:
                return by_socket(one)
            case 3:
                return demo.ask(LETTERS, token, {"ids": [one.id_number, other.id_number]})
            case 4:
                return demo.ask(by_alias, token, {"a": one.id_number, "b": other.id_number})
            case _:
                keys = [{"__typename": "Resident", "idNumber": who.id_number} for who in (one, other)]
                return demo.ask(by_entity, token, {"r": keys})

    def addresses(reply: Reply) -> int:
        text = json.dumps(json.loads(reply.raw), ensure_ascii=False)
        return sum(text.count(json.dumps(address, ensure_ascii=False)) for address in homes)

    with ThreadPoolExecutor(12) as pool:
        got = sum(map(addresses, pool.map(ask, range(24))))
    for number in range(24, 30):  # and what was reserved only and came back
        got += addresses(ask(number))
    assert got == 3
    left = "{ me { grants { nodes { id usedToday { rows remaining { rows requests } } } } } }"
    used = {one["id"]: one["usedToday"] for one in demo.ask(left, token).body["data"]["me"]["grants"]["nodes"]}
    assert used["G-2026-053"]["rows"] == 3
    # What is used up is used up for filters, orders, keys and figures, too; open items stay answered.
    for use in ('where: {currentAddress: {startsWith: "银"}}', "orderBy: [{currentAddress: ASC}]", 'search: "银川"'):
        reply = demo.ask(f"{{ data {{ population {{ residents(first: 1, {use}) {{ nodes {{ name }} }} }} }} }}", token)
        assert (reply.status, reply.codes) == (429, ["QUOTA_EXCEEDED"])
    assert demo.ask("{ data { population { residents(first: 1) { nodes { name } } } } }", token).codes == []


@book.attempt(1069, "Guess on by totals when the rows are used up, until the requests are", "twenty requests a day")
def test_twenty_requests_a_day(demo: Demo) -> None:
    token = demo.token(*LAND)
    guess = (
        "query($a: String!) { data { population { residents(first: 0, where: {currentAddress: {startsWith: $a}}) "
        "{ totalCount } } } }"
    )
    answered = 0
    for number in range(30):
        reply = demo.ask(guess, token, {"a": f"银川市{number}"})
        answered += reply.codes == []
        assert reply.codes in ([], ["QUOTA_EXCEEDED"])
    assert answered <= 20
    assert demo.ask(guess, token, {"a": "银"}).codes == ["QUOTA_EXCEEDED"]


# --- statistics --------------------------------------------------------------------------------------------------


@book.attempt(1070, "Two hundred questions to the cube, over a hundred thousand people", "sums of published cells")
def test_the_cube_of_the_demo(demo: Demo) -> None:
    groups = Counter((one.ethnicity, one.education, one.gender) for one in demo.world.residents)
    cube = {group: 5 * round(count / 5) for group, count in groups.items() if count >= 10}
    small = [group for group, count in groups.items() if count < 10]
    assert small
    dice = Random(1070)
    token = demo.token(*COUNTING)
    ethnicities, levels = sorted({group[0] for group in groups}), list(EDUCATION)
    names = [f"f{n}" for n in range(50)]
    for _ in range(4):
        asked, expected = [], {}
        for name in names:
            some = dice.sample(ethnicities, dice.randint(1, len(ethnicities)))
            taught = dice.sample(levels, dice.randint(1, len(levels)))
            if dice.random() < 0.3:
                alone = dice.choice(small)
                some, taught = [alone[0]], [alone[1]] if alone[1] else levels
            gender = dice.choice("12")
            listed = [json.dumps(names, ensure_ascii=False) for names in (some, taught)]
            where = f"ethnicity: {{in: {listed[0]}}}, and: [{{education: {{in: {listed[1]}}}}}, "
            where += f'{{gender: {{eq: "{gender}"}}}}]'
            asked.append(f"{name}: residentsAggregate(groupBy: [GENDER], where: {{{where}}}) {{ count }}")
            count = sum(n for (e, level, g), n in cube.items() if e in some and level in taught and g == gender)
            expected[name] = [{"count": count}] if count else []
        reply = demo.ask(f"{{ data {{ population {{ {' '.join(asked)} }} }} }}", token)
        assert reply.body["data"]["data"]["population"] == expected


@book.attempt(1071, "One resident's ethnicity for who may count, by row, key, filter and order", "STATISTICS_ONLY")
def test_no_row_for_who_counts(demo: Demo, owner: dict[str, Any]) -> None:
    token = demo.token(*COUNTING)
    kind = demo.world.person("owner").ethnicity
    group = "query($id: String!) { data { population { "
    for query in (
        group + "resident(idNumber: $id) { ethnicity } } } }",
        group + f'residents(where: {{idNumber: {{eq: $id}}, ethnicity: {{eq: "{kind}"}}}}) {{ totalCount }} }} }} }}',
        group + "residentsAggregate(where: {idNumber: {eq: $id}}, groupBy: [ETHNICITY]) { key { ethnicity } } } } }",
        group
        + f'residentsAggregate(where: {{idNumber: {{eq: $id}}, ethnicity: {{eq: "{kind}"}}}}) {{ count }} }} }} }}',
        group + "residents(where: {idNumber: {gte: $id}}, orderBy: [{ethnicity: ASC}]) { nodes { name } } } } }",
        group + "residentsAggregate(where: {idNumber: {eq: $id}}) { max { ethnicity } } } } }",
        group + "residentsAggregate(where: {idNumber: {eq: $id}}) { countDistinct { ethnicity } } } } }",
    ):
        reply = demo.ask(query, token, owner)
        assert set(reply.codes) == {"STATISTICS_ONLY"}
        assert kind.encode() not in reply.raw.replace(json.dumps(query).encode(), b"")


# --- WebSocket ---------------------------------------------------------------------------------------------------


def conversation(demo: Demo, *said: Any, **headers: str) -> list[dict[str, Any]]:
    """What is heard for what is said, until the other side closes or is done with operation `1`."""
    heard: list[dict[str, Any]] = []
    with demo.socket(**headers) as line:
        try:
            for one in said:
                line.send(one if isinstance(one, str) else json.dumps(one))
            while True:
                heard.append(json.loads(line.recv(timeout=10)))
                if heard[-1]["type"] in ("complete", "error"):
                    return heard
        except ConnectionClosed as closed:
            return [*heard, {"type": "closed", "reason": str(closed)}]


@book.attempt(1072, "By WebSocket: no token, two, another in the operation, another purpose", "one token a connection")
def test_websocket(demo: Demo, owner: dict[str, Any]) -> None:
    tax, pension = f"Bearer {demo.token(*TAX)}", f"Bearer {demo.token(*PENSION)}"
    asked = {"query": PHONE, "variables": owner}
    operation: dict[str, Any] = {"id": "1", "type": "subscribe", "payload": asked}
    init = {"type": "connection_init", "payload": {"Authorization": tax}}
    more = {"authorization": pension, "headers": {"Authorization": pension}}
    twice = f'{{"type": "connection_init", "type": "ping", "payload": {{"Authorization": "{pension}"}}}}'
    talks: list[list[Any]] = [
        [operation],
        [init, {"type": "connection_init", "payload": {"Authorization": pension}}, operation],
        [{"type": "connection_init", "payload": {"Authorization": tax, "authorization": pension}}, operation],
        [{"type": "connection_init", "payload": {"authorization": [pension]}}, operation],
        [init, {**operation, "payload": {**asked, **more, "extensions": more}}],
        [init, {**operation, "payload": {**asked, "extensions": {"purpose": "PENSION-VERIFICATION"}}}],
        [init, {"id": "1", "type": "start", "payload": asked}],
        [twice, operation],
    ]
    for talk in talks:
        heard = conversation(demo, *talk)
        assert '"128' not in json.dumps(heard), talk
    assert '"128' not in json.dumps(conversation(demo, init, operation, Authorization=pension))
    init["payload"] = {"Authorization": pension}
    assert '"128' in json.dumps(conversation(demo, init, operation))  # positive twin


# --- values ------------------------------------------------------------------------------------------------------

VALUES: dict[str, list[Any]] = {
    "TextFilter": ["", "%", "\\", "'", "\u202e", "a" * 9_000, "😀", "e\u0301", "\x7f", "\x00"],
    "IntFilter": [2**31 - 1, -(2**31), 2**31, 10**30, 1.5, "1", True],
    "DecimalFilter": ["1e999", "1e99", "-1e-99", "1E+100", "9" * 100, "9" * 101, "NaN", "1_0", 0.1, 1e308],
    "DateFilter": ["0001-01-01", "9999-12-31", "0000-00-00", "2024-02-30", "２０２４-01-01"],
    "DateTimeFilter": ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-06-30T23:59:60Z", "2024-01-01"],
}
KNOWN = {
    "BAD_INPUT", "GRANT_REQUIRED", "GRANT_ENDED", "GRANT_SUSPENDED", "GRANT_NOT_YET_VALID", "GRANT_EXPIRED",
    "NOT_SHARED", "PURPOSE_REQUIRED", "PURPOSE_MISMATCH", "MASKED_USE", "STATISTICS_ONLY", "CAPABILITY_MISSING",
}  # fmt: skip


@book.attempt(1073, "Values at and beyond every end, in filters of every resource", "conversions are total")
def test_values_that_break_nothing(demo: Demo) -> None:
    token = demo.token(*TAX)
    fields = '{ __type(name: "%s") { fields { name type { name ofType { name } } args { name type { name } } } } }'
    inputs = '{ __type(name: "%s") { inputFields { name type { name } } } }'

    def told(query: str, name: str, of: str) -> list[dict[str, Any]]:
        return list(demo.ask(query % name, token).body["data"]["__type"][of])

    jobs: list[tuple[str, dict[str, Any]]] = []
    for group in told(fields, "Data", "fields"):
        kind = str(group["type"]["name"] or (group["type"]["ofType"] or {}).get("name"))
        for field in told(fields, kind, "fields") if group["name"] != "id" else ():
            arguments = {one["name"]: one["type"]["name"] for one in field["args"]}
            if not {"where", "first"} <= arguments.keys():
                continue
            query = f"query($w: {arguments['where']}) {{ data {{ {group['name']} {{ {field['name']}"
            query += "(first: 0, where: $w) { totalCount } } } }"
            for item in told(inputs, arguments["where"], "inputFields"):
                for value in VALUES.get(item["type"]["name"], ()):
                    jobs += [(query, {"w": {item["name"]: {operator: value}}}) for operator in ("eq",)]
    assert len(jobs) > 400
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda job: demo.ask(job[0], token, job[1]), jobs))
    for job, reply in zip(jobs, replies, strict=True):
        assert reply.status < 500, (job, reply.raw)
        assert set(reply.codes) <= KNOWN, (job, reply.raw)
