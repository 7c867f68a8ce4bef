"""In charge of planted faults as data: what each breaks, and which text it replaces by which."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One planted fault: in `file` (from the project's root), `old`, which stands there exactly once, becomes `new`.

    `breaks` says which rule or case of authorization.md is broken. `leak`: answers or calls come to depend on what V
    hides, so that the non-interference tests must catch it by themselves; the differential tests see the others.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    leak: bool = False

    def mutated(self, text: str) -> str:
        """`text` of the file with the fault in it. Raises ValueError where `old` does not stand in it exactly once."""
        if (times := text.count(self.old)) != 1:
            raise ValueError(f"the text of `{self.name}` stands {times} times in `{self.file}`, not once")
        return text.replace(self.old, self.new)

    def plant(self, root: Path) -> None:
        """Writes the fault into the tree at `root`."""
        place = root / self.file
        place.write_text(self.mutated(place.read_text(encoding="utf-8")), encoding="utf-8")
