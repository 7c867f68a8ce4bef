"""In charge of the lines on statistics: answers from a published cube, and attempts to get anything finer out of it.

The rule of the demo's grant, applied by hand: residents are counted by ethnicity, education and gender; of these
groups those of fewer than ten are left out, the others rounded to a multiple of five; all answers are sums of these.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from demo.data.names import EDUCATION
from demo.data.world import World
from demo.tour.expectations import Delivered, Refused, tree
from demo.tour.running import Line

COUNTING: dict[str, Any] = {"department": "data-office", "purposes": ("POPULATION-ANALYSIS",)}
SMALLEST, BASE = 10, 5
GRANT = {"grants": ["G-2026-081"]}

Group = tuple[str, str | None, str]


def statistics_lines(world: World) -> list[Line]:
    groups = Counter[Group]((one.ethnicity, one.education, one.gender) for one in world.residents)
    cube = {group: BASE * round(count / BASE) for group, count in groups.items() if count >= SMALLEST}
    alone = min((group for group in groups if group[1] is not None), key=lambda group: (groups[group], str(group)))
    assert groups[alone] < SMALLEST
    assert any(count % BASE for count in groups.values())
    return [_counts(cube), _difference(cube, alone), _filtered(world)]


def _counts(cube: Mapping[Group, int]) -> Line:
    by_ethnicity = Counter[str]()
    for (ethnicity, _, _), count in cube.items():
        by_ethnicity[ethnicity] += count
    women = sum(count for (_, education, gender), count in cube.items() if education == "本科" and gender == "2")
    return Line(
        "statistics come from a cube published once a month, rounded, without small groups, Art. 9(2), 11(3)",
        query="{ data { population { residentsAggregate(groupBy: [ETHNICITY]) { key { ethnicity } count } "
        'women: residentsAggregate(groupBy: [GENDER], where: {education: {eq: "本科"}, gender: {in: ["2"]}}) '
        "{ key { gender education } count } } } }",
        expected=Delivered(
            tree(
                "population",
                {
                    "residentsAggregate": [
                        {"key": {"ethnicity": name}, "count": count} for name, count in sorted(by_ethnicity.items())
                    ],
                    "women": [{"key": {"gender": "2", "education": None}, "count": women}],
                },
            ),
            extensions=GRANT,
        ),
        **COUNTING,
    )


def _difference(cube: Mapping[Group, int], alone: Group) -> Line:
    """A small group is asked for as the difference of two larger ones: both are told alike."""
    ethnicity, education, gender = alone
    all_of_them, but_one = list(EDUCATION), [name for name in EDUCATION if name != education]
    assert len(but_one) == len(all_of_them) - 1
    count = sum(n for (e, level, g), n in cube.items() if (e, g) == (ethnicity, gender) and level is not None)
    where = "where: {ethnicity: {eq: $of}, gender: {eq: $gender}, education: {in: $%s}}"
    return Line(
        "the difference of two statistics is nothing finer than what is published, Art. 9(2)",
        query="query ($of: String!, $gender: String!, $all: [String!]!, $but: [String!]!, $one: [String!]!) "
        "{ data { population { "
        + " ".join(
            f"{name}: residentsAggregate(groupBy: [ETHNICITY], {where % name}) {{ count }}"
            for name in ("all", "but", "one")
        )
        + " } } }",
        variables={"of": ethnicity, "gender": gender, "all": all_of_them, "but": but_one, "one": [education]},
        expected=Delivered(
            tree("population", {"all": [{"count": count}], "but": [{"count": count}], "one": []}), extensions=GRANT
        ),
        **COUNTING,
    )


def _filtered(world: World) -> Line:
    return Line(
        "statistics of one person are refused, Art. 11(3)",
        query="query ($id: String!) { data { population { residentsAggregate(groupBy: [ETHNICITY], "
        "where: {idNumber: {eq: $id}}) { key { ethnicity } count } } } }",
        variables={"id": world.person("owner").id_number},
        expected=Refused("STATISTICS_ONLY", "Art. 11(3)"),
        **COUNTING,
    )
