"""docs/attacks.md lists every attempt, and no other."""

from tests.attack.book import DOCUMENT, Book, document


def test_the_document_is_the_list_of_attempts() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_attempts_are_many_and_tell_what_protects() -> None:
    document()
    assert len(Book.every) >= 60
    assert all(one.what and one.protects for one in Book.every.values())
