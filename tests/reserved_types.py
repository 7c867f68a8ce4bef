"""In charge of the list of type names that the fixed part takes: `python -m tests.reserved_types` writes it anew."""

from pathlib import Path

from schema.fixed.query import fixed_part

LIST = Path(__file__).parent.parent / "tanglai" / "catalogue" / "reserved_types.txt"


def names() -> str:
    """One name a line, sorted."""
    return "".join(f"{name}\n" for name in sorted({kind.name for kind in fixed_part().types}))


if __name__ == "__main__":
    LIST.write_text(names(), encoding="ascii")
