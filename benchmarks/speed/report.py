"""In charge of results for people: a table on the terminal, a plot in docs/performance.svg."""

from collections.abc import Mapping
from typing import Any

from benchmarks.speed.cases import Case


def table(case: Case, result: Mapping[str, Any]) -> str:
    """Requests per second and latencies of each subject, then ratios and bars."""
    lines = [f"  {'subject':<14}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}"]
    for name, one in result["subjects"].items():
        lines.append(f"  {name:<14}{one['rps']:>12,.1f}{one['p50_ms']:>10.1f}{one['p99_ms']:>10.1f}")
    others = {**case.bars, **({"reference": None} if "vs_reference" in result else {})}
    for other, bar in others.items():
        key = f"vs_{other}"
        if key not in result:
            continue
        if result[key] is None:
            lines.append(f"  to {other}: not measured, {result[f'{key}_reason']}")
            continue
        low, high = result[f"{key}_interval"]
        told = f"  to {other}: {result[key]:.2f} ({low:.2f} to {high:.2f}, {result['confidence']:.0%} sure)"
        if bar is None:
            lines.append(f"{told}: {'slower' if result['slower'] else 'not slower'}")
        else:
            lines.append(f"{told}, bar {bar:g}: {'met' if result[key] >= bar else 'MISSED'}")
    return "\n".join(lines)
