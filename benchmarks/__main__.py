"""In charge of `make bench`: runs cases, prints their figures, writes benchmarks/results/latest.json."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import freshness, start, workflow

RESULTS = Path(__file__).parent / "results" / "latest.json"
CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "start": start.run,
    "freshness": freshness.run,
    "workflow": workflow.run,
}


def main() -> int:
    """Runs the named case, or all. Exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measures Tanglai on this machine.")
    parser.add_argument("--case", choices=sorted(CASES), help="one case; all when left out")
    arguments = parser.parse_args()
    missed = False
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    for name in [arguments.case] if arguments.case else sorted(CASES):
        print(f"{name}: measuring", flush=True)
        figures = CASES[name]()
        results["cases"][name] = figures
        for key, value in figures.items():
            print(f"  {key}: {value}")
        missed = missed or not figures["met"]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
