"""In charge of the rules on what an item tells of somebody, and on the masks that it declares."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_world import Finding, World
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.mask_candidates import FEWEST, LENGTH, Birth, Known, candidates
from tanglai.catalogue.mask_kinds import FITTING, LONG, TYPES, follows, words
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Item, Resource
from tanglai.catalogue.scalars import ScalarType

_TITLES = {
    "身份号码": Content.IDENTITY_NUMBER,
    "身份证号": Content.IDENTITY_NUMBER,
    "出生日期": Content.BIRTH_DATE,
}
"""Words of titles that say what an item holds, of the contents that masks are judged by."""


def content_findings(resource: Resource, item: Item, path: Path, world: World) -> Iterator[Finding]:
    """What is wrong with `content`, `of` and `masks` of `item`, which stands at `path` of `resource`."""
    yield from _content(resource, item, path)
    yield from _masks(item, path)
    if item.content is not None:
        for index, named in enumerate(item.masks):
            yield from _fitting(item.content, named.mask, (*path, "masks", index), world)


def _content(resource: Resource, item: Item, path: Path) -> Iterator[Finding]:
    content, of = item.content, item.of
    if content is not None and item.type not in TYPES[content]:
        yield Finding("item", (*path, "content"), f"`{item.name}` of type {item.type} holds no {content}")
    if of is not None:
        holder = resource.item_by_name.get(of)
        if content is None or content is Content.IDENTITY_NUMBER:
            message = f"`of` says whose {Content.NAME}, {Content.BIRTH_DATE} and so on an item holds; it is none"
            yield Finding("item", (*path, "of"), message)
        elif holder is None or holder.content is not Content.IDENTITY_NUMBER:
            yield Finding("item", (*path, "of"), f"`{of}` is no {Content.IDENTITY_NUMBER} of this resource")
    numbers = [other.name for other in resource.items if other.content is Content.IDENTITY_NUMBER]
    if content not in (None, Content.IDENTITY_NUMBER) and of is None and len(numbers) > 1:
        message = f"`of` does not say whose {content} it is, so it counts for {', '.join(f'`{n}`' for n in numbers)}"
        yield Finding("item", (*path, "of"), message, Severity.NOTICE)
    if content is None:
        for word, meant in _TITLES.items():
            if word in item.title and item.type in TYPES[meant]:
                message = f"`{item.title}` without `content: {meant}` escapes the judgement of masks"
                yield Finding("item", (*path, "content"), message, Severity.NOTICE)


def _masks(item: Item, path: Path) -> Iterator[Finding]:
    if item.masks and item.type is not ScalarType.TEXT:
        message = f"masks are of texts, `{item.name}` is of type {item.type}; publish a sibling item instead"
        yield Finding("mask", (*path, "masks"), message)
    for name, count in Counter(named.name for named in item.masks).items():
        if count > 1:
            yield Finding("mask", (*path, "masks"), f"{count} masks have the name `{name}`")
    told = set()
    for (_, before), (index, after) in combinations(enumerate(item.masks), 2):
        weaker = follows(before.mask, after.mask, LONG) and not follows(after.mask, before.mask, LONG)
        if weaker and index not in told:
            told.add(index)
            message = f"`{after.name}` reveals more than `{before.name}`, which stands before it"
            yield Finding("mask", (*path, "masks", index), message)


def _fitting(content: Content, mask: Mask, path: Path, world: World) -> Iterator[Finding]:
    fitting = FITTING[content]
    fault = fitting.fault(content, mask)
    if fault is not None:
        yield Finding("mask", path, fault)
        return
    figures = ""
    if content is Content.IDENTITY_NUMBER and mask.kind is MaskKind.KEEP and mask.prefix + mask.suffix < LENGTH:
        alone, year, day = (
            candidates(Known(mask.prefix, mask.suffix, birth=birth), frozenset(world.divisions), world.today)
            for birth in Birth
        )
        if alone < FEWEST:
            message = f"{words(mask)} leaves {alone:,} numbers, fewer than {FEWEST:,}"
            yield Finding("mask", path, message)
            return
        figures = f": it leaves {alone:,} numbers, {year:,} to who knows the birth year, {day:,} the birth date"
    if fitting.exceeded(mask):
        message = f"{words(mask)} shows more than the recommended {words(fitting.recommended)}{figures}"
        yield Finding("mask", path, message, Severity.NOTICE)
