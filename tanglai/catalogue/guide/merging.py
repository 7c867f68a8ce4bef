"""In charge of laying what a spreadsheet says over what is known of a resource already: its binding and names stay."""

from collections.abc import Mapping, Sequence
from typing import Any

from tanglai.catalogue.documents_base import trimmed
from tanglai.catalogue.guide.proposals import Proposal

_STAMPS = ("version", "publishedAt")


def merged(former: Mapping[str, Any] | None, proposal: Proposal) -> dict[str, Any]:
    """The document of `proposal` laid over `former`, an entry's or a published resource's document.

    What the file says counts. What it does not say is kept, but for the guide's own columns, where an empty cell says
    that there is nothing. Items that the file does not have go; those that it has keep what it does not tell of them
    (column, masks, codes ...), found by their name or else by their title. Laying the same over it again changes
    nothing.
    """
    new = proposal.document
    if former is None:
        return dict(new)
    document: dict[str, Any] = {}
    for key in dict.fromkeys((*new, *former)):
        if key in _STAMPS or key == "items":
            continue
        if key in new:
            document[key] = new[key]
        elif key not in proposal.covered:
            document[key] = former[key]
    if isinstance(former.get("graphql"), Mapping):
        document["graphql"] = {**former["graphql"], **new.get("graphql", {})}
    for key in ("table", "handle"):
        document[key] = _kept_detail(former.get(key), document.get(key))
    document["keys"] = _keys(former.get("keys", ()), new.get("keys", ()))
    own = proposal.own_classes or former.get("shareClass") != new["shareClass"]
    document["items"] = _items(former, proposal, own)
    return trimmed(document)


def _items(former: Mapping[str, Any], proposal: Proposal, own_classes: bool) -> list[dict[str, Any]]:
    known = list(former.get("items", ()))
    named = {item["name"]: item for item in known if "name" in item}
    titled = {item.get("title"): item for item in known}
    covered = proposal.covered_items | ({"shareClass"} if own_classes else set())
    items = []
    for item in proposal.document["items"]:
        before = named.get(item["name"]) if "name" in item else None
        before = before or titled.get(item.get("title"))
        if before is None:
            items.append(dict(item))
            continue
        kept = {key: value for key, value in before.items() if key not in covered and key not in item}
        laid = {**item, **kept}
        if "column" in item:
            laid["column"] = _kept_detail(before.get("column"), item["column"])
        if "name" in item and "name" in before and item["name"] != before["name"]:
            laid.pop("graphql", None)
        items.append(_ordered(laid, before))
    return items


def _ordered(item: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of `before`, so that a document that says the same is the same text."""
    return {key: item[key] for key in dict.fromkeys((*before, *item)) if key in item}


def _kept_detail(before: Any, now: Any) -> Any:
    """A column, row handle or table written short, with the details that its long form had under the same name."""
    if not isinstance(before, Mapping):
        return now
    if isinstance(now, str) and now == before.get("name"):
        return before
    if isinstance(now, Mapping) and all(before.get(key) == value for key, value in now.items()):
        return before
    return now


def _keys(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> list[list[str]]:
    """The key that the file marks comes first, in the order that it had; further ones stay."""
    if not now:
        return [list(key) for key in before]
    marked = list(now[0])
    if before and set(before[0]) == set(marked):
        marked = list(before[0])
    return [marked, *(list(key) for key in before[1:] if set(key) != set(marked))]
