"""docs/matrix.md says how large the matrix is."""

from tests.matrix.summary import DOCUMENT, rendered


def test_the_page_is_the_one_that_the_command_writes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == rendered(), "run `python -m tests.matrix`"
