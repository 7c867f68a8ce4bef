"""In charge of Tanglai as a subject: `tanglai serve`, one worker, everything switched on."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.speed.cases import MASK_PREFIX, MASK_SUFFIX
from benchmarks.speed.contract import RESIDENT_FIELDS, VEHICLE_FIELDS, Call, Draw, Subject, graphql_call
from benchmarks.speed.platform import PURPOSE

_WINDOW = "(first: $count, where: {idNumber: {gte: $start}}, orderBy: [{idNumber: ASC}])"
_FIELDS = " ".join(RESIDENT_FIELDS)
_VEHICLES = f"vehicles(orderBy: [{{plate: ASC}}]) {{ nodes {{ {' '.join(VEHICLE_FIELDS)} }} }}"


def _list(field: str, fields: str) -> str:
    nodes = f"{field}{_WINDOW} {{ nodes {{ {fields} }} }}"
    return f"query Window($count: Int!, $start: String!) {{ data {{ population {{ {nodes} }} }} }}"


LIST = _list("residents", _FIELDS)
JOIN = _list("residents", f"{_FIELDS} {_VEHICLES}")
SCOPED = _list("files", _FIELDS)
OPEN = (
    "query Window($count: Int!, $start: String!, $area: String!) { data { population { openFiles(first: $count, where: "
    "{idNumber: {gte: $start}, division: {startsWith: $area}}, orderBy: [{idNumber: ASC}]) "
    f"{{ nodes {{ {_FIELDS} }} }} }} }} }}"
)
AGGREGATE = (
    "query Groups($since: DateTime!) { data { population { residentsAggregate(groupBy: [DIVISION, SEX], "
    "where: {registeredAt: {gte: $since}}) { key { division sex } count sum { income } max { income } } } } }"
)
QUERIES: Mapping[str, str] = {"join_100": JOIN, "scoped_100": SCOPED, "aggregate": AGGREGATE}
CASES = frozenset({"list_1", "list_100", "list_1000", "join_100", "aggregate", "scoped_100", "grants_100k"})


def call(draw: Draw) -> Call:
    """The draw as a client of the department asks for it, token and purpose included."""
    variables = {"since": draw.since} if draw.case == "aggregate" else {"count": draw.count, "start": draw.start}
    headers = {"Authorization": f"Bearer {draw.token}", "Purpose": PURPOSE}
    return graphql_call(QUERIES.get(draw.case, LIST), variables, headers)


def rows(case: str, answer: Any) -> list[dict[str, Any]]:
    """See `Subject`."""
    if answer.get("errors"):
        raise ValueError(f"the answer has errors: {answer['errors']}")
    group = answer["data"]["data"]["population"]
    if case == "aggregate":
        return [
            {**one["key"], "count": one["count"], "sum": one["sum"]["income"], "max": one["max"]["income"]}
            for one in group["residentsAggregate"]
        ]
    nodes = group["files" if case == "scoped_100" else "residents"]["nodes"]
    if case == "join_100":
        return [{**node, "vehicles": node["vehicles"]["nodes"]} for node in nodes]
    return list(nodes)


def open_call(draw: Draw) -> Call:
    """The same rows of an open resource: the client names the area itself, and no phone is masked."""
    variables = {"count": draw.count, "start": draw.start, "area": draw.area}
    return graphql_call(OPEN, variables, {"Authorization": f"Bearer {draw.token}", "Purpose": PURPOSE})


def open_rows(case: str, answer: Any) -> list[dict[str, Any]]:
    """See `Subject`; masked here, so that they are equal to those of the others."""
    if answer.get("errors"):
        raise ValueError(f"the answer has errors: {answer['errors']}")
    nodes = answer["data"]["data"]["population"]["openFiles"]["nodes"]
    return [node | {"phone": _masked(node["phone"])} for node in nodes]


def _masked(phone: str | None) -> str | None:
    if phone is None or len(phone) <= MASK_PREFIX + MASK_SUFFIX:
        return phone and "*" * len(phone)
    return f"{phone[:MASK_PREFIX]}{'*' * (len(phone) - MASK_PREFIX - MASK_SUFFIX)}{phone[-MASK_SUFFIX:]}"


def subject(name: str, environment: Mapping[str, str], cases: frozenset[str] = CASES) -> Subject:
    """A node called `name`; `environment` says over which platform database, and from which checkout."""
    program = str(Path(sys.executable).parent / "tanglai")
    return Subject(
        name=name,
        cases=cases,
        command=lambda port: [program, "serve", "--port", str(port)],
        call=open_call if name == "open" else call,
        rows=open_rows if name == "open" else rows,
        environment=environment,
    )
