"""In charge of results for people: a table on the terminal, a plot in docs/performance.svg.

`python -m benchmarks.speed.report` writes the plot and the pages (`pages`) again from the results that are there.
"""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.speed.cases import Case


def table(case: Case, result: Mapping[str, Any]) -> str:
    """Requests per second, latencies and CPU time per request of each subject, then ratios and bars."""
    lines = [f"  {'':<14}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10} = own + sources + platform"]
    for name, one in result["subjects"].items():
        cpu = one["cpu_ms"]
        parts = f"{cpu['total']:>10.3f} = {cpu['subject']:.3f} + {cpu['sources']:.3f} + {cpu['platform']:.3f}"
        lines.append(f"  {name:<14}{one['rps']:>12,.1f}{one['p50_ms']:>10.1f}{one['p99_ms']:>10.1f}{parts}")
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
        if result[f"{key}_cpu"] is not None:
            told += f", by CPU time {result[f'{key}_cpu']:.2f}"
        if bar is None:
            lines.append(f"{told}: {'slower' if result['slower'] else 'not slower'}")
        else:
            lines.append(f"{told}, bar {bar:g}: {'met' if result[key] >= bar else 'MISSED'}")
    return "\n".join(lines)


TITLES: Mapping[str, str] = {
    "list_1": "One row of ten fields",
    "list_100": "100 rows of ten fields",
    "list_1000": "1,000 rows of ten fields",
    "join_100": "100 residents and their vehicles from a second database",
    "aggregate": "Groups over 1,000,000 rows",
    "scoped_100": "100 rows of the requester's area, phones masked",
    "grants_100k": "100 rows, with 100,000 grants recorded",
}
NAMES: Mapping[str, str] = {
    "ours": "Tanglai",
    "raw": "SQL by hand",
    "open": "Tanglai, an open resource",
    "strawberry": "Strawberry",
    "postgraphile": "PostGraphile",
    "many_grants": "Tanglai, 100,000 grants",
}
_WIDTH, _LEFT, _RIGHT = 860, 190, 150
_BAR, _STEP, _GAP, _TOP = 16, 22, 40, 64
_OURS, _OTHER, _INK, _SOFT = "#0b6e99", "#b8c4cc", "#1c2429", "#56646d"


def plot(results: Mapping[str, Any]) -> str:
    """The cases of speed among `results["cases"]` as an SVG image: requests per second, a scale for each case."""
    cases = [(name, results["cases"][name]) for name in TITLES if name in results["cases"]]
    parts: list[str] = []
    y = _TOP
    for name, case in cases:
        subjects = sorted(case["subjects"].items(), key=lambda one: one[0] not in ("ours", "many_grants"))
        most = max(one["rps"] for _, one in subjects)
        y += _GAP
        parts.append(_text(16, y - 12, TITLES[name], size=14, weight="600"))
        for subject, one in subjects:
            length = max(1.0, (_WIDTH - _LEFT - _RIGHT) * one["rps"] / most)
            color = _OURS if subject in ("ours", "many_grants") else _OTHER
            middle = y + _BAR - 4
            parts.append(_text(_LEFT - 8, middle, NAMES.get(subject, subject), anchor="end"))
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{color}"/>')
            told = f"{one['rps']:,.0f}/s" if one["rps"] >= 10 else f"{one['rps']:.1f}/s"
            told += f", p99 {one['p99_ms']:,.0f} ms"
            parts.append(_text(_LEFT + length + 6, middle, told, color=_SOFT))
            y += _STEP
    machine = results.get("machine", {})
    where = f"{machine.get('processor', '')}, {machine.get('cores', '?')} cores, Python {machine.get('python', '?')}"
    height = y + 24
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" role="img">'
        f"<title>Requests per second</title>"
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
    )
    top = [
        _text(16, 30, "Requests per second", size=18, weight="600"),
        _text(16, 52, f"64 connections (aggregate: 4), one worker, all on one machine: {where}", color=_SOFT),
    ]
    return head + "\n".join([*top, *parts]) + "</svg>\n"


def _text(
    x: float, y: float, text: str, *, size: int = 12, weight: str = "400", color: str = _INK, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" fill="{color}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    from benchmarks.speed.pages import main

    main()
