"""In charge of legal bases as people write them: 法律《中华人民共和国统计法》第二十五条 (Art. 10(1))."""

import re
from collections.abc import Mapping
from typing import Any

from tanglai.catalogue.guide.remarks import At, quoted
from tanglai.catalogue.guide.words import BASES
from tanglai.catalogue.model import BasisType

_BASIS = re.compile(r"(?P<type>[^《》]*?)[\s:：]*《(?P<title>.+)》[\s,，]*(?P<article>.*)", re.DOTALL)
_TYPES = (
    (BasisType.LAW, ("法律",)),
    (BasisType.ADMINISTRATIVE_REGULATION, ("行政法规",)),
    (BasisType.CENTRAL_POLICY, ("中央政策", "政策", "党中央", "国务院")),
)
_LOCAL = ("自治区", "省", "市", "县", "州")
WHOLE = "全文"
"""The article of a policy that has none."""
_WORDS = {value: word for word, value in BASES.items()}


def read_basis(text: str, key: str, at: At) -> dict[str, Any] | None:
    """The legal basis in `text`, which stands in column `key`, as a document; what is wrong with it is told."""
    match = _BASIS.fullmatch(" ".join(text.split()))
    if match is None:
        message = f"{quoted(text)} names no law, administrative regulation or central policy: 《title》 and article"
        at.error(
            key,
            "not-shared-basis",
            message,
            f"{quoted(text)} 未写明法律、行政法规或中央政策的名称和条款，应如 法律《……》第……条",
        )
        return None
    title, article = match["title"].strip()[:500], match["article"].strip("。.；; ")[:500]
    kind = _said(match["type"]) or _follows(title)
    if kind is None:
        message = f"{quoted(text)}: say whether it is a law, an administrative regulation or a central policy"
        at.error(
            key, "not-shared-basis", message, f"{quoted(text)} 应注明是法律、行政法规还是中央政策，其他文件不能作为依据"
        )
        return None
    if not article and kind is BasisType.CENTRAL_POLICY:
        article = WHOLE
    if not article:
        at.error(key, "not-shared-basis", f"{quoted(text)} names no article", f"{quoted(text)} 未写明条款")
        return None
    return {"type": kind.value, "title": title, "article": article}


def write_basis(basis: Mapping[str, Any] | None) -> str | None:
    """A legal basis, a document, as `read_basis` reads it."""
    if basis is None:
        return None
    return f"{_WORDS[BasisType(basis['type'])]}《{basis['title']}》{basis['article']}"


def _said(words: str) -> BasisType | None:
    return next((kind for kind, marks in _TYPES if any(mark in words for mark in marks)), None)


def _follows(title: str) -> BasisType | None:
    """What a title is by its own words. A local regulation is none of them."""
    if any(mark in title for mark in _LOCAL):
        return None
    if title.endswith(("法", "法典")):
        return BasisType.LAW
    if title.endswith("条例"):
        return BasisType.ADMINISTRATIVE_REGULATION
    if "中共中央" in title or "国务院" in title:
        return BasisType.CENTRAL_POLICY
    return None
