"""In charge of one trial, in a process and a tree of its own: `python -m tests.oracle.mutants.trial TEST_FILE...`.

Runs the fixed-seed share until the first failure, without shrinking, and prints as its last line a JSON object: the
`outcome` (passed, compared, crashed), the `test`, the `message`, the number of tests that `ran`.
"""

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

IGNORED = ("-W", "ignore:Generating overly large repr")  # of what failed; only shrinking would make it small


@dataclass(eq=False)
class Watch:
    """Listens to pytest: what the first failure was, and whether it was a comparison that failed."""

    here: Path
    outcome: str = "passed"
    test: str = ""
    message: str = ""
    ran: int = 0

    @pytest.hookimpl
    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings  # pytest must come first, or it cannot rewrite assertions there

        settings.register_profile("trial", phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False)
        settings.load_profile("trial")  # what tests leave open in their settings

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        self.ran += call.when == "call"
        if call.excinfo is not None and not self.test:
            self.failed(item.nodeid, call.excinfo.value)

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.test:
            self.outcome, self.test, self.message = "crashed", "collection", str(report.longrepr).splitlines()[-1]

    def failed(self, test: str, error: BaseException) -> None:
        self.test = test
        self.outcome = "compared" if any(self.is_comparison(one) for one in _alone(error)) else "crashed"
        lines = [line for one in _alone(error) for line in f"{type(one).__name__}: {one}".splitlines() if line]
        self.message = lines[0] if lines else ""

    def is_comparison(self, error: BaseException) -> bool:
        """Whether the oracle's side says no; an internal error of the gateway is a crash, however it is told."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        raised = Path(place.tb_frame.f_code.co_filename) if place is not None else Path()
        inside = raised.is_relative_to(self.here / "tests" / "oracle")
        return isinstance(error, AssertionError) and inside and "INTERNAL" not in str(error)


def _alone(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _alone(inner)
    else:
        yield error


def main(files: list[str]) -> int:
    here = Path.cwd()
    watch = Watch(here)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *IGNORED, *files], plugins=[watch])
    if code != pytest.ExitCode.OK and not watch.test:
        watch.outcome, watch.message = "crashed", " ".join(said.getvalue().split())[-300:]
    result: dict[str, Any] = {name: getattr(watch, name) for name in ("outcome", "test", "message", "ran")}
    print(json.dumps(result, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
