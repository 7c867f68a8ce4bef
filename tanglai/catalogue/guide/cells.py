"""In charge of one cell: what stands in it as a text, a code, a date, a word of a list, and what is wrong with it."""

import re
import unicodedata
from datetime import date, datetime, time, timedelta

from tanglai.catalogue.documents_base import HOSTILE
from tanglai.catalogue.guide.columns import BY_KEY
from tanglai.catalogue.guide.remarks import At, quoted
from tanglai.catalogue.guide.words import LISTS, word_of
from tanglai.catalogue.guide.workbook import MAX_CELL, Broken, Cell, Uncalculated

CODES = frozenset({"code", "provider_code", "related"})
"""Columns of codes, which a spreadsheet program must not take for numbers or dates."""
_PROSE = frozenset({"summary", "condition", "item_condition", "method", "description", "business_reason"})
"""Columns whose cells may have several lines."""
_HOSTILE = re.compile(f"[{HOSTILE}\U000e0000-\U000e007f]")
_PADDING = re.compile(r"[ \t\u3000\xa0\n]*[\t\u3000\xa0\n][ \t\u3000\xa0\n]*| {2,}")
_HAN = r"\u3400-\u9fff\uf900-\ufaff"
_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}])\x00(?=[{_HAN}])")
_DAY = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?", re.ASCII
)
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_EPOCH = date(1899, 12, 30)


def plain(value: Cell | None) -> str:
    """What stands in a cell, as a text: whole numbers without a point, days as 2017-07-01."""
    match value:
        case None | Uncalculated():
            return ""
        case Broken():
            return value.text
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime():
            return (value.date() if value.time() == time() else value.replace(microsecond=0)).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta() | int() | float():
            return str(value)
    return value


def text(value: Cell | None, key: str, at: At) -> str:
    """The text in a cell of column `key`, empty where there is none or where what stands there cannot be used."""
    if isinstance(value, Uncalculated):
        message = "a formula whose result the file does not hold: calculate and save it in the spreadsheet program"
        at.error(key, "document", message, "公式没有计算结果，请在表格软件中重新计算并保存，或改为数值")
        return ""
    if isinstance(value, Broken):
        at.error(key, "document", f"the cell shows {quoted(value.text)}", f"单元格出错：{quoted(value.text)}")
        return ""
    found = plain(value)
    if len(found) > MAX_CELL:
        at.error(key, "document", f"more than {MAX_CELL:,} characters", f"超过 {MAX_CELL:,} 个字符")
        return ""
    lines = found.replace("_x000D_", "").replace("\r\n", "\n").replace("\r", "\n").replace("\v", "\n")
    shown = _HOSTILE.sub("", lines)
    if len(shown) < len(lines):
        at.notice(key, "file", "control or invisible characters are left out", "已去除控制字符或不可见字符")
    return _trimmed_lines(shown) if key in _PROSE else _one_line(shown)


def _one_line(shown: str) -> str:
    """Padding of names, `姓　　名`, goes; a single space stays, and so does one between words of letters."""
    return _BETWEEN_HAN.sub("", _PADDING.sub("\x00", shown)).replace("\x00", " ").strip()


def _trimmed_lines(shown: str) -> str:
    return "\n".join(line.strip("\u3000\xa0 \t") for line in shown.strip("\u3000\xa0 \t\n").split("\n"))


def code(value: Cell | None, key: str, at: At) -> str:
    """The code in a cell, without spaces, full width as half width; empty where there is none that can be used."""
    if isinstance(value, bool | int | float):
        message = (
            f"{quoted(plain(value))} is a number: leading zeros and digits after the 15th may be lost; enter it as text"
        )
        at.error(
            key,
            "document",
            message,
            f"{quoted(plain(value))} 为数值，前导零或第 15 位之后的数字可能丢失，请按文本格式填写",
        )
        return ""
    if isinstance(value, date | time | timedelta):
        message = f"{quoted(plain(value))} is a date: the spreadsheet program changed the code; enter it as text"
        at.error(key, "document", message, f"{quoted(plain(value))} 为日期，代码已被表格软件改写，请按文本格式填写")
        return ""
    return "".join(unicodedata.normalize("NFKC", text(value, key, at)).split())


def codes(value: Cell | None, key: str, at: At) -> list[str]:
    """The codes in a cell, between commas, semicolons, spaces or line breaks, each once."""
    if isinstance(value, str):
        parts = re.split(r"[\s,，;；、|]+", text(value, key, at).replace("\u3000", " "))
        return list(dict.fromkeys(found for part in parts if (found := code(part, key, at))))
    found = code(value, key, at)
    return [found] if found else []


def word(value: Cell | None, key: str, at: At) -> object | None:
    """The value that the word in a cell means, None where there is none; a word that is not in the list is an error."""
    found = text(value, key, at)
    if not found:
        return None
    meant = word_of(key, found)
    if meant is None:
        known = "、".join(LISTS[key])
        title = BY_KEY[key].title
        at.error(
            key, "document", f"{quoted(found)} is not one of {known}", f"{title} {quoted(found)} 应为以下之一：{known}"
        )
    return meant


def day(value: Cell | None, key: str, at: At) -> date | None:
    """The day in a cell, written as a date, a number or in one of the usual ways; what is none is told of."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    found = text(value, key, at)
    if not found:
        return None
    digits = unicodedata.normalize("NFKC", found)
    match = _DAY.fullmatch(digits) or _DIGITS.fullmatch(digits)
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3]))
        if digits.isascii() and digits.isdigit() and 20_000 <= int(digits[:9]) <= 80_000:
            return _EPOCH + timedelta(days=int(digits))  # the number of a day, in a cell that is not of dates
    except ValueError:
        pass
    at.notice(
        key, "document", f"{quoted(found)} is no day, such as 2017-07-01", f"{quoted(found)} 不是日期，应如 2017-07-01"
    )
    return None
