"""In charge of what the reader of a spreadsheet has to say: remarks, each with its sheet, row and column."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tanglai.catalogue.checks_base import RULES, Rule, Severity
from tanglai.catalogue.guide.columns import BY_KEY

MOST_REMARKS = 20_000
"""Remarks that one report keeps; more are counted."""
MOST_NOTICES = 15_000
"""Notices come to an end before errors do."""
MOST_QUOTED = 60
"""Characters of a cell that a message quotes."""


OWN_CATALOGUE = Rule("own-catalogue", "Art. 8", "a department compiles the catalogue of its own data")
"""The one rule of imports that publication does not have: there, it is the operator who publishes for everybody."""


def rule_of(id: str) -> Rule:
    """The rule that a remark names. Raises KeyError for an unknown id."""
    return OWN_CATALOGUE if id == OWN_CATALOGUE.id else RULES[id]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say about a place of the file.

    `row` counts from 1 as the spreadsheet does, 0 for the whole sheet; `sheet` empty: the whole file. `column` is the
    header as the template writes it, or the file's own where that is unknown, empty for the whole row. `resource` is
    the code of the resource that it is about, empty where there is none. Of severity ERROR: the resource is not taken.
    """

    sheet: str
    row: int
    column: str
    severity: Severity
    rule: str
    message: str
    message_zh: str
    resource: str = ""

    @property
    def article(self) -> str:
        """Where the rule comes from, empty for rules of form."""
        return rule_of(self.rule).article

    def __str__(self) -> str:
        place = f"{self.sheet}!{self.row}" if self.sheet else "file"
        column = f" `{self.column}`" if self.column else ""
        article = f", {self.article}" if self.article else ""
        return f"{place}{column}: {self.message} [{self.rule}{article}]"


@dataclass(slots=True)
class Remarks:
    """The remarks on one file, in the order in which they were made.

    `untold` counts those beyond MOST_REMARKS, `errors` all of severity ERROR.
    """

    said: list[Remark] = field(default_factory=list)
    untold: int = 0
    errors: int = 0

    def __iter__(self) -> Iterator[Remark]:
        return iter(self.said)

    def add(self, remark: Remark) -> None:
        self.errors += remark.severity is Severity.ERROR
        if len(self.said) < (MOST_REMARKS if remark.severity is Severity.ERROR else MOST_NOTICES):
            self.said.append(remark)
        else:
            self.untold += 1

    def sort(self, sheets: Sequence[str]) -> None:
        """By sheet in the order of the file, which is that of `sheets`, then by row."""
        order = {sheet: number for number, sheet in enumerate(sheets, start=1)}
        self.said.sort(key=lambda remark: (order.get(remark.sheet, 0), remark.row))


@dataclass(frozen=True, slots=True)
class At:
    """A place in the file that remarks are made at."""

    remarks: Remarks
    sheet: str
    row: int = 0
    resource: str = ""

    def error(self, column: str, rule: str, message: str, message_zh: str) -> None:
        """What keeps the resource from being taken. `column` is a column's key, or a header as it stands."""
        self._say(column, Severity.ERROR, rule, message, message_zh)

    def notice(self, column: str, rule: str, message: str, message_zh: str) -> None:
        """What somebody should look at."""
        self._say(column, Severity.NOTICE, rule, message, message_zh)

    def _say(self, column: str, severity: Severity, rule: str, message: str, message_zh: str) -> None:
        title = BY_KEY[column].title if column in BY_KEY else column
        self.remarks.add(Remark(self.sheet, self.row, title, severity, rule, message, message_zh, self.resource))


def quoted(value: object) -> str:
    """`value` as a message shows it: one line, not too long, in backticks."""
    text = " ".join(str(value).split())
    shown = "".join(c if c.isprintable() else "�" for c in text[: MOST_QUOTED + 1])
    return f"`{shown[:MOST_QUOTED]}…`" if len(shown) > MOST_QUOTED else f"`{shown}`"
