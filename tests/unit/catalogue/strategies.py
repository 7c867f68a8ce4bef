"""Random catalogue objects, each of a form that publication could let through as far as its own document goes."""

import string
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tanglai.catalogue.expressions import (
    Attribute,
    Column,
    Compare,
    CompareOp,
    Expression,
    In,
    IsNull,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Value,
    Within,
    conjunction,
    disjunction,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    BasisType,
    Binding,
    Branch,
    Category,
    Code,
    Content,
    Department,
    Division,
    Grant,
    GrantBasis,
    GrantState,
    Item,
    Key,
    LegalBasis,
    Level,
    NamedMask,
    Names,
    OrganisationKind,
    Period,
    Purpose,
    Quota,
    Relation,
    Resource,
    ShareClass,
    Source,
    Statistics,
    UpdateCycle,
    Usage,
    Zone,
)
from tanglai.catalogue.predicates import negation
from tanglai.catalogue.scalars import ScalarType

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests over whole resources, which take long to draw on a busy machine."""

CJK = "唐徕渠政务数据ab1 ，。é𠮷"
LETTERS, DIGITS = string.ascii_letters, string.digits


def words(first: str, rest: str, most: int = 9) -> st.SearchStrategy[str]:
    """Texts of one character of `first` and up to `most` of `rest`."""
    return st.builds(str.__add__, st.sampled_from(first), st.text(rest, max_size=most))


lines = st.text(CJK, min_size=1, max_size=12)
prose = st.text(CJK + "\n\t", max_size=20)
names = words(LETTERS + "_", LETTERS + DIGITS + "_")
keys = words(string.ascii_lowercase, string.ascii_lowercase + DIGITS + "-")
tokens = words(LETTERS + DIGITS, LETTERS + DIGITS + "._:-")
credit_codes = st.text(DIGITS + string.ascii_uppercase, min_size=18, max_size=18)
division_codes = st.integers(640000, 649999).map(str)
category_codes = st.text(DIGITS, min_size=6, max_size=10)
resource_codes = st.builds("{}/{}".format, category_codes, st.integers(0, 9999))
physical_names = st.text(CJK + "./*\"'", min_size=1, max_size=12)
days = st.dates(date(1949, 10, 1), date(2100, 1, 1))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(CJK, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
options = st.dictionaries(names, json_values, max_size=3).map(MappingProxyType)

divisions = st.builds(Division, division_codes, lines, lines, days, st.none() | days, st.none() | division_codes)
departments = st.builds(
    Department,
    credit_codes,
    keys,
    lines,
    lines,
    st.sampled_from(Level),
    division_codes,
    st.sampled_from(OrganisationKind),
    st.booleans(),
    st.booleans(),
)
purposes = st.builds(Purpose, tokens, lines, lines)
categories = st.builds(
    Category, category_codes, lines, lines, st.none() | category_codes, st.lists(credit_codes, max_size=2).map(tuple)
)
sources = st.builds(
    Source,
    keys,
    lines,
    credit_codes | keys,
    keys,
    st.sampled_from(Zone),
    options,
    st.none() | days,
    st.none() | keys | resource_codes,
    st.none() | lines,
)

masks = st.one_of(
    st.builds(Mask, st.just(MaskKind.KEEP), st.integers(0, 9), st.integers(0, 9)),
    st.builds(Mask, st.just(MaskKind.REGION), st.integers(0, 9)),
    st.builds(Mask, st.sampled_from([MaskKind.FIRST, MaskKind.DOMAIN, MaskKind.PSEUDONYM, MaskKind.REDACT])),
)
mask_names = words(LETTERS, LETTERS + DIGITS + "_-")
bases = st.builds(LegalBasis, st.sampled_from(BasisType), lines, lines)


@st.composite
def items(draw: st.DrawFn, name: str) -> Item:
    kind = draw(st.sampled_from(ScalarType))
    return Item(
        name=name,
        title=draw(lines),
        type=kind,
        share_class=draw(st.sampled_from(ShareClass)),
        graphql=draw(st.just(name) | names),
        column=Column(draw(physical_names), kind, draw(st.booleans()), draw(st.none() | st.just("Asia/Shanghai"))),
        description=draw(prose),
        basic=draw(st.booleans()),
        business_reason=draw(st.none() | prose),
        condition=draw(st.none() | prose),
        legal_basis=draw(st.none() | bases),
        data_element=draw(st.none() | tokens),
        masks=tuple(draw(st.lists(st.builds(NamedMask, mask_names, masks), max_size=3))),
        codes=tuple(draw(st.lists(st.builds(Code, lines, lines), max_size=3))),
        nullable=draw(st.booleans()),
        content=draw(st.none() | st.sampled_from(Content)),
        of=draw(st.none() | names),
    )


item_name_tuples = st.lists(names, min_size=1, max_size=3).map(tuple)
relations = st.builds(
    Relation,
    names,
    lines,
    resource_codes,
    item_name_tuples,
    item_name_tuples,
    st.booleans(),
    st.sampled_from(ShareClass),
    names,
    names,
)
bindings = st.builds(
    Binding,
    keys,
    st.none() | physical_names | names,
    physical_names | names | st.just("licences.parquet") | st.just("a.b"),
    st.none() | st.builds(Column, physical_names, st.sampled_from(ScalarType), st.booleans(), st.none() | lines),
    options,
    st.none() | st.integers(1, 10**6),
)


@st.composite
def resources(draw: st.DrawFn) -> Resource:
    item_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return Resource(
        code=draw(resource_codes),
        version=draw(st.integers(0, 10**6)),
        title=draw(lines),
        summary=draw(prose),
        branch=draw(st.sampled_from(Branch)),
        category=draw(category_codes),
        provider=draw(credit_codes | keys),
        share_class=draw(st.sampled_from(ShareClass)),
        update_cycle=draw(st.sampled_from(UpdateCycle)),
        zone=draw(st.sampled_from(Zone)),
        names=Names(draw(names), draw(names), draw(names), draw(names)),
        binding=draw(bindings),
        items=tuple(draw(items(name)) for name in item_names),
        keys=tuple(draw(st.lists(st.builds(Key, item_name_tuples), max_size=2))),
        relations=tuple(draw(st.lists(relations, max_size=2))),
        compiler=draw(st.none() | credit_codes),
        condition=draw(st.none() | prose),
        legal_basis=draw(st.none() | bases),
        sharing_method=draw(st.none() | prose),
        format=draw(st.none() | lines),
        open_attribute=draw(st.none() | lines),
        subject=draw(st.none() | tokens),
        related=tuple(draw(st.lists(resource_codes, max_size=2))),
        published_at=draw(st.none() | moments),
    )


VALUES: dict[ScalarType, st.SearchStrategy[Any]] = {
    ScalarType.TEXT: st.text(max_size=5).filter(lambda text: "\0" not in text),
    ScalarType.BOOLEAN: st.booleans(),
    ScalarType.INTEGER: st.integers(-(2**31), 2**31 - 1),
    ScalarType.LONG: st.integers(-(2**63), 2**63 - 1),
    ScalarType.DECIMAL: st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.just(Decimal("1E+3")),
    ScalarType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ScalarType.DATE: st.dates(),
    ScalarType.TIME: st.times(),
    ScalarType.DATETIME: st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
}


@st.composite
def tests(draw: st.DrawFn, resource: Resource) -> Expression:
    """A test of one item."""
    item = draw(st.sampled_from(resource.items))
    reference = ItemRef(item.name, item.type)
    if not item.type.comparable:
        return IsNull(reference) if draw(st.booleans()) else Not(IsNull(reference))
    value = VALUES[item.type].map(lambda v: Value(v, item.type))
    several = st.lists(value, min_size=1, max_size=3).map(tuple)
    choices: list[st.SearchStrategy[Expression]] = [
        st.builds(Compare, st.sampled_from(CompareOp), st.just(reference), value),
        st.builds(In, st.just(reference), several),
        st.builds(lambda values: Not(In(reference, values)), several),
        st.just(IsNull(reference)),
    ]
    if item.type is ScalarType.TEXT:
        attribute = st.sampled_from([Attribute("department.code"), Attribute("department.division")])
        choices += [
            st.builds(Compare, st.sampled_from(CompareOp), st.just(reference), attribute),
            st.builds(Match, st.sampled_from(MatchOp), st.just(reference), value),
            st.builds(Within, st.just(reference), division_codes | st.just(Attribute("department.division"))),
        ]
    test: Expression = draw(st.one_of(choices))
    return test


def predicates(resource: Resource) -> st.SearchStrategy[Expression]:
    """Predicates in normal form."""
    return st.recursive(
        tests(resource),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: conjunction(*parts)),
            st.lists(inner, max_size=3).map(lambda parts: disjunction(*parts)),
            inner.map(negation),
        ),
        max_leaves=8,
    )


def statistics(item_names: list[str]) -> st.SearchStrategy[Statistics]:
    """Statistics of some of the items, whatever these are."""
    some = st.lists(st.sampled_from(item_names), max_size=3, unique=True).map(tuple)
    return st.builds(
        Statistics,
        some,
        some,
        st.sampled_from(Period),
        st.integers(3, 10**6),
        st.integers(1, 10**6),
        st.decimals("0.001", 10**6, allow_nan=False, places=3),
    )


@st.composite
def grants(draw: st.DrawFn) -> tuple[Grant, Resource]:
    """A grant and its resource."""
    resource = draw(resources())
    item_names = [item.name for item in resource.items]
    figures = draw(st.none() | statistics(item_names))
    return (
        Grant(
            id=draw(tokens),
            requester=draw(credit_codes | keys),
            resource=resource.code,
            items=frozenset(draw(st.sets(st.sampled_from(item_names)))) | (figures.items if figures else frozenset()),
            purpose=draw(tokens),
            valid_from=draw(moments),
            valid_to=draw(st.none() | moments),
            basis=draw(st.sampled_from(GrantBasis)),
            state=draw(st.sampled_from(GrantState)),
            usage=draw(st.sampled_from(Usage)),
            relations=frozenset(draw(st.sets(names, max_size=2))),
            scope=draw(predicates(resource)),
            masks=MappingProxyType(draw(st.dictionaries(st.sampled_from(item_names), mask_names, max_size=2))),
            quota=draw(st.none() | st.builds(Quota, *[st.none() | st.integers(0, 10**6)] * 3)),
            statistics=figures,
        ),
        resource,
    )
