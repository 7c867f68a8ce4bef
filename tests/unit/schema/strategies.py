"""Random snapshots that publication would let through, as far as GraphQL is concerned."""

from dataclasses import replace

from hypothesis import strategies as st

from tanglai.catalogue.model import Resource, ShareClass, Snapshot, Zone
from tanglai.catalogue.naming import name_clashes, name_problems
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import make_item, make_relation, make_resource, make_snapshot

WORDS = ("resident", "car", "firm", "licence", "parcel")
ITEMS = ("name", "idNumber", "amount", "day", "place", "open")
RULE_SETS = ("ningxia-measures", "order-809")

texts = st.text("ab唐徕渠\"\\\n#{}é`'", max_size=12)
classes = st.sampled_from(ShareClass)
types = st.sampled_from(ScalarType)


@st.composite
def resources(draw: st.DrawFn, word: str) -> Resource:
    """A resource named after `word`, without relations."""
    names = draw(st.lists(st.sampled_from(ITEMS), min_size=1, unique=True))
    items = [
        make_item(name, draw(types), title=draw(texts) or "题", share_class=draw(classes), description=draw(texts))
        for name in names
    ]
    keyable = [item.name for item in items if item.type.comparable]
    keys = (
        draw(st.lists(st.lists(st.sampled_from(keyable), min_size=1, max_size=2, unique=True), max_size=2))
        if (keyable)
        else []
    )
    return make_resource(
        word,
        items,
        code=f"1{WORDS.index(word)}/1",
        title=draw(texts) or "题",
        summary=draw(texts),
        group=draw(st.sampled_from(("population", "economy"))),
        keys=[key for place, key in enumerate(keys) if sorted(key) not in map(sorted, keys[:place])],
        handle=draw(st.sampled_from(("handle", None))),
        zone=draw(st.sampled_from((Zone.EXTRANET, Zone.EXTRANET, Zone.INTRANET))),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Up to five resources with relations between them, both ends declared."""
    found = {word: draw(resources(word)) for word in draw(st.lists(st.sampled_from(WORDS), unique=True))}
    pairs = draw(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), max_size=4, unique=True))
    for number, (left, right) in enumerate(pairs):
        if left not in found or right not in found:
            continue
        for here, there, name, inverse in (
            (left, right, f"to{number}", f"from{number}"),
            (right, left, f"from{number}", f"to{number}"),
        ):
            end = make_relation(
                name,
                found[there],
                [found[here].items[0].name],
                [found[there].items[0].name],
                inverse=inverse,
                many=draw(st.booleans()),
                share_class=draw(classes),
            )
            found[here] = replace(found[here], relations=(*found[here].relations, end))
    served = [resource for resource in found.values() if resource.zone is Zone.EXTRANET]
    assert not [problem for resource in served for problem in name_problems(resource)]
    assert not name_clashes(served)
    return make_snapshot(found.values(), rule_set=draw(st.sampled_from(RULE_SETS)))
