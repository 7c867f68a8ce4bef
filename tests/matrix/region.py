"""In charge of the region that the end-to-end part asks: catalogue, rows and grants, one department for each state.

Whatever leads to a subject (keys, names, relations) is unconditional; the subjects are in the state of the department
that asks. The first rows lie in scope of grants for some rows, the last ones do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tanglai.catalogue.identity import credit_check
from tanglai.catalogue.model import Item, Resource
from tests.matrix.states import STATES, Held, State
from tests.matrix.steps import Samples

PROVIDER = "provider"
ASKED, OTHER = "assistance", "licensing"
PERSON, FLAT, BADGE, CAR, NOTE = "301/1", "301/2", "301/3", "301/4", "301/5"
SUBJECTS = {
    PERSON: ("nick", "phone", "kind", "height", "income", "born", "seen", "married", "card", "file"),
    NOTE: ("title", "body"),
}
"""The items whose grants are in the department's state; of notes there is nothing else."""
COUNT = 6
IN_SCOPE = 4
INSIDE, OUTSIDE = "640100", "640500"

_UNSAYABLE = {"a mask that is declared no more", "a scope that cannot be read"}
SPOKEN = tuple(state for state in STATES if state.name not in _UNSAYABLE)
"""The states that a catalogue's files can say; the others come about when a catalogue changes below its grants."""


def credit_code(number: int) -> str:
    body = f"11640000MBM{number:06}"
    return body + credit_check(body)


def department_key(state: State) -> str:
    return PROVIDER if state.asker == "owner" else f"d{STATES.index(state):02}"


def departments() -> list[dict[str, Any]]:
    keys = [PROVIDER, "stranger", *sorted({department_key(state) for state in SPOKEN} - {PROVIDER})]
    return [
        {
            "code": credit_code(number),
            "key": key,
            "name": f"部门{number}",
            "nameEn": key,
            "level": "REGION",
            "division": "640000",
            "competent": False,
        }
        for number, key in enumerate(keys, start=1)
    ]


CODES = {entry["key"]: entry["code"] for entry in departments()}


# --- the catalogue ----------------------------------------------------------------------------------------------------


def _item(name: str, kind: str, share_class: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "title": f"项{name}", "type": kind, "column": name, "shareClass": share_class, **more}


def _relation(name: str, target: str, items: tuple[str, str], inverse: str, many: bool, share_class: str) -> Any:
    return {
        "name": name,
        "title": f"关联{name}",
        "target": target,
        "items": [items[0]],
        "targetItems": [items[1]],
        "many": many,
        "inverse": inverse,
        "shareClass": share_class,
    }


def _resource(code: str, word: str, items: list[Any], keys: list[list[str]], **more: Any) -> dict[str, Any]:
    return {
        "kind": "resource",
        "code": code,
        "title": f"{word}信息",
        "summary": "测试",
        "branch": "DEPARTMENTAL",
        "category": "301",
        "provider": PROVIDER,
        "updateCycle": "DAILY",
        "zone": "EXTRANET",
        "graphql": {"group": "town", "list": f"{word}s", "one": word, "type": word.capitalize()},
        "source": "town",
        "table": f"public.matrix_{word}",
        "handle": {"column": "handle", "type": "LONG"},
        "keys": keys,
        "items": items,
        **more,
    }


_TAIL = [{"name": "tail", "keep": {"prefix": 0, "suffix": 2}}, {"name": "none", "redact": True}]
_OPEN, _CONDITIONAL, _CLOSED = "UNCONDITIONAL", "CONDITIONAL", "NOT_SHARED"
_KEY = {"nullable": False}
_LAW = {"type": "LAW", "title": "治安管理处罚法", "article": "第八十条"}
_MIXED = {"shareClass": "CONDITIONAL", "condition": "申请"}

RESOURCES = (
    _resource(
        PERSON,
        "person",
        [
            _item("number", "TEXT", _OPEN, **_KEY),
            _item("area", "TEXT", _OPEN),
            _item("flat", "TEXT", _OPEN, graphql="flatCode"),
            _item("nick", "TEXT", _OPEN),
            _item("phone", "TEXT", _CONDITIONAL, masks=_TAIL),
            _item(
                "kind",
                "TEXT",
                _CONDITIONAL,
                codes=[{"value": f"kind-{n}-pl", "title": f"类{n}"} for n in range(1, COUNT + 1)],
            ),
            _item("height", "INTEGER", _CONDITIONAL),
            _item("income", "DECIMAL", _CONDITIONAL),
            _item("born", "DATE", _CONDITIONAL),
            _item("seen", "DATETIME", _CONDITIONAL),
            _item("married", "BOOLEAN", _CONDITIONAL),
            _item("card", "TEXT", _CONDITIONAL, **_KEY),
            _item("file", "TEXT", _CLOSED, masks=_TAIL, legalBasis=_LAW),
        ],
        [["number"], ["card"]],
        relations=[
            _relation("home", FLAT, ("flat", "code"), "dwellers", False, _OPEN),
            _relation("badges", BADGE, ("number", "holder"), "bearer", True, _OPEN),
            _relation("cars", CAR, ("number", "owner"), "keeper", True, _CONDITIONAL),
        ],
        **_MIXED,
    ),
    _resource(
        FLAT,
        "flat",
        [_item("code", "TEXT", _OPEN, **_KEY), _item("street", "TEXT", _OPEN)],
        [["code"]],
        relations=[_relation("dwellers", PERSON, ("code", "flat"), "home", True, _OPEN)],
        shareClass=_OPEN,
    ),
    _resource(
        BADGE,
        "badge",
        [_item("label", "TEXT", _OPEN, **_KEY), _item("holder", "TEXT", _OPEN)],
        [["label"]],
        relations=[_relation("bearer", PERSON, ("holder", "number"), "badges", False, _OPEN)],
        shareClass=_OPEN,
    ),
    _resource(
        CAR,
        "car",
        [_item("plate", "TEXT", _OPEN, **_KEY), _item("owner", "TEXT", _OPEN)],
        [["plate"]],
        relations=[_relation("keeper", PERSON, ("owner", "number"), "cars", False, _CONDITIONAL)],
        shareClass=_OPEN,
    ),
    _resource(
        NOTE,
        "note",
        [_item("title", "TEXT", _CONDITIONAL, masks=_TAIL), _item("body", "TEXT", _CONDITIONAL)],
        [],
        shareClass=_CONDITIONAL,
        condition="申请",
    ),
)


def registers() -> dict[str, dict[str, Any]]:
    """The documents besides resources, by file name."""
    divisions = [("640000", "宁夏", "Ningxia"), (INSIDE, "银川市", "Yinchuan"), (OUTSIDE, "中卫市", "Zhongwei")]
    categories = [("3", "部门", "Departmental", None), ("301", "公安", "Public security", "3")]
    source = {
        "key": "town",
        "title": "市政",
        "department": PROVIDER,
        "kind": "postgresql",
        "zone": "EXTRANET",
        "options": {"dsn": {"env": "TOWN_DSN"}},
    }
    return {
        "divisions": {
            "kind": "divisions",
            "divisions": [{"code": c, "name": n, "nameEn": e, "validFrom": "1958-10-25"} for c, n, e in divisions],
        },
        "departments": {
            "kind": "departments",
            "departments": [{**d, "competent": d["key"] == "stranger"} for d in departments()],
        },
        "purposes": {
            "kind": "purposes",
            "purposes": [{"code": code, "title": code, "titleEn": code} for code in (ASKED, OTHER)],
        },
        "categories": {
            "kind": "categories",
            "categories": [
                {"code": c, "title": t, "titleEn": e, **({"parent": p} if p else {})} for c, t, e, p in categories
            ],
        },
        "sources": {"kind": "sources", "sources": [source]},
        "grants": {"kind": "grants", "grants": [g for state in SPOKEN for g in grants(state)]},
    }


# --- grants -----------------------------------------------------------------------------------------------------------

_NOW = datetime.now(UTC).replace(microsecond=0)
_HOUR = timedelta(hours=1)
_MASKED = {"phone": "tail", "file": "tail", "title": "tail"}
_DIMENSIONS, _MEASURES = ("kind",), ("height", "income")


def grants(state: State) -> list[dict[str, Any]]:
    """The grants of the state's department: of people, of their cars, of notes."""
    key = department_key(state)
    place = STATES.index(state)
    found: list[dict[str, Any]] = []
    for number, held in enumerate(state.held):
        requester = key if held.requester == "asker" else "stranger"
        base = {"requester": requester, **_terms(held)}
        for code, items in SUBJECTS.items():
            granted = _granted(code, items, held)
            short = code.partition("/")[2]
            if granted is not None:
                found.append({"id": f"G-{place:02}-{number}-{short}", "resource": code, **base, **granted})
    far = {"id": f"G-{place:02}-far", "requester": key, "resource": CAR, "relations": ["keeper"]}
    return [*found, far | _terms(Held())] if state.name != "own data without the role" else [*found]


def _granted(code: str, items: tuple[str, ...], held: Held) -> dict[str, Any] | None:
    relations = ["cars"] if code == PERSON and held.usage == "READ" and not held.mask else []
    if held.covers == "the other kind":
        return {"relations": relations} if relations else None
    names = [name for name in items if name != "file" or held.basis != "APPLICATION"]
    if held.usage == "STATISTICS":
        if code != PERSON:
            return None
        terms = {"dimensions": [*_DIMENSIONS], "measures": [*_MEASURES], "period": "MONTH", "minimumCell": 3, "base": 1}
        return {"usage": "STATISTICS", "statistics": terms}
    if held.mask:
        names = [name for name in names if name in _MASKED]
        return {"items": names, "masks": {name: _MASKED[name] for name in names}, **_scope(code, held)}
    return {"items": names, "relations": relations, **_scope(code, held)}


def _scope(code: str, held: Held) -> dict[str, Any]:
    if held.scope == "none":
        return {"scope": {"or": []}}
    if held.scope == "part":  # notes have no area: the scope is over the body, which is granted with it
        inside = {"area": {"eq": INSIDE}} if code == PERSON else {"body": {"startsWith": "in"}}
        return {"scope": inside}
    return {}


def _terms(held: Held) -> dict[str, Any]:
    begins = {"before": _NOW - 24 * _HOUR, "now": _NOW - _HOUR, "later": _NOW + 24 * _HOUR}[held.begins]
    lasts = {"later": _NOW + 72 * _HOUR, "now": _NOW - _HOUR, "for ever": None}[held.lasts]
    return {
        "purpose": ASKED if held.purpose == "asked" else OTHER,
        "validFrom": begins.isoformat(),
        **({"validTo": lasts.isoformat()} if lasts is not None else {}),
        "basis": held.basis,
        "state": held.state,
        **({"quota": {"rows": 10**6} if held.quota == "left" else {"requests": 0}} if held.quota else {}),
    }


# --- rows -------------------------------------------------------------------------------------------------------------

MARRIED = [True, False] * (COUNT // 2)


def rows() -> Mapping[str, list[dict[str, Any]]]:
    """The rows of each table in JSON forms; no value of a subject occurs anywhere else."""
    numbers = range(1, COUNT + 1)
    person = [
        {
            "handle": n,
            "number": f"P{n:03}",
            "area": INSIDE if n <= IN_SCOPE else OUTSIDE,
            "flat": f"F{n:03}",
            "nick": f"nick-{n}-qu",
            "phone": f"8800{n}0072{n}",
            "kind": f"kind-{n}-pl",
            "height": 700_100_100 + n,
            "income": f"91827{n}.5",
            "born": f"1931-07-1{n}",
            "seen": f"2017-03-1{n}T05:43:21.000000Z",
            "married": MARRIED[n - 1],
            "card": f"card-{n}-zw",
            "file": f"file-{n}-hv{n}",
        }
        for n in numbers
    ]
    return {
        "person": person,
        "flat": [{"handle": n, "code": f"F{n:03}", "street": f"S{n}"} for n in numbers],
        "badge": [{"handle": n, "label": f"B{n:03}", "holder": f"P{n:03}"} for n in numbers],
        "car": [{"handle": n, "plate": f"C{n:03}", "owner": f"P{n:03}"} for n in numbers],
        "note": [
            {"handle": n, "title": f"title-{n}-bx", "body": f"{'in' if n <= IN_SCOPE else 'out'}-{n}-jy"}
            for n in numbers
        ],
    }


TYPES = {
    "TEXT": "text",
    "INTEGER": "integer",
    "DECIMAL": "numeric",
    "DATE": "date",
    "DATETIME": "timestamptz",
    "BOOLEAN": "boolean",
}


def masked(value: str) -> str:
    """What the mask `tail` leaves of a text."""
    return "*" * (len(value) - 2) + value[-2:]


@dataclass
class Real(Samples):
    """Operands of row `number` of every table, and ids as a node seals them."""

    number: int
    ids: Mapping[tuple[str, int], str]

    def value(self, resource: Resource, item: Item) -> Any:
        word = resource.names.one
        return rows()[word][self.number - 1][item.name]

    def row_id(self, resource: Resource) -> str:
        return self.ids[resource.code, self.number]
