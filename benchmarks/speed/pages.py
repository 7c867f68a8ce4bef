"""In charge of what the pages tell of results: the parts of docs/performance.md and README.md that are generated."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.cases import CASES
from benchmarks.speed.report import NAMES, plot

_ROOT = Path(__file__).parent.parent.parent
RESULTS = _ROOT / "benchmarks" / "results" / "latest.json"
PAGE, README, PLOT = _ROOT / "docs" / "performance.md", _ROOT / "README.md", _ROOT / "docs" / "performance.svg"
NOT_MEASURED = "not measured"

Results = Mapping[str, Any]


def rewrite(results: Results) -> None:
    """Writes the plot, and in both pages what stands between the markers, as `results` have it."""
    PLOT.write_text(plot(results), encoding="utf-8")
    for page in (PAGE, README):
        page.write_text(filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")


def filled(text: str, results: Results) -> str:
    """`text` with its generated parts: of each what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    for name, part in PARTS.items():
        told = part(results["cases"])
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m: f"{m[1]}{told}\n{m[2]}", text, flags=re.S)  # noqa: B023
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([row(head), row(["-" * width for width in widths]), *map(row, lines[1:])])


def _ratios(cases: Results) -> str:
    rows = []
    for name, case in CASES.items():
        for other, bar in case.bars.items():
            found = cases.get(name, {})
            label = "Tanglai, 26 grants" if other == "ours" else NAMES[other]
            if found.get(f"vs_{other}") is None:
                reason = found.get(f"vs_{other}_reason")
                rows.append(
                    [f"`{name}`", label, f"≥ {bar:g}", f"{NOT_MEASURED}{f': {reason}' if reason else ''}", "", ""]
                )
                continue
            ratio, (low, high) = found[f"vs_{other}"], found[f"vs_{other}_interval"]
            met = "yes" if ratio >= bar else "**no**"
            rows.append([f"`{name}`", label, f"≥ {bar:g}", f"{ratio:.2f}", f"{low:.2f} to {high:.2f}", met])
    return _table(["case", "against", "bar", "ratio", "interval", "met"], rows)


def _cpu(cases: Results) -> str:
    rows = []
    for name in CASES:
        for subject, one in cases.get(name, {}).get("subjects", {}).items():
            cpu = one["cpu_ms"]
            parts = [f"{cpu[part]:.3f}" for part in ("subject", "sources", "platform")]
            rows.append([f"`{name}`", NAMES.get(subject, subject), f"{one['rps']:,.0f}", f"{one['p50_ms']:.1f}"])
            rows[-1] += [f"{one['p99_ms']:.1f}", *parts]
    head = ["case", "subject", "requests/s", "p50 ms", "p99 ms", "CPU ms: own", "sources", "platform"]
    return _table(head, rows or [[NOT_MEASURED, *[""] * 7]])


def _missed(cases: Results) -> str:
    known = [(name, other, bar) for name, case in CASES.items() for other, bar in case.bars.items()]
    measured = [(n, o, bar, cases[n][f"vs_{o}"]) for n, o, bar in known if cases.get(n, {}).get(f"vs_{o}") is not None]
    if not measured:
        return f"The cases of speed are {NOT_MEASURED}."
    lines = [
        f"- `{name}` against {NAMES[other]}: {ratio:.2f}, the bar is {bar:g}"
        f"{_by_cpu(cases[name].get(f'vs_{other}_cpu'))}."
        for name, other, bar, ratio in measured
        if ratio < bar
    ]
    return "\n".join(lines) or f"None of the {len(measured)} that were measured."


def _by_cpu(ratio: float | None) -> str:
    return "" if ratio is None else f"; by CPU time alone {ratio:.2f}"


def _stages(cases: Results) -> str:
    found = cases.get("stages")
    if found is None:
        return f"Stages: {NOT_MEASURED}."
    one, many = found["list_1"], found["list_100"]

    def row(label: str, of: Callable[[Results], float]) -> list[str]:
        return [label, f"{of(one):.1f}", f"{of(many):.1f}"]

    rows = [row(stage, lambda case, stage=stage: case["stages_us"][stage]) for stage in one["stages_us"]]  # type: ignore[misc]
    rows += [
        row("event loop and drivers", lambda case: case["loop_and_drivers_us"]),
        row("all of this, measured", lambda case: case["measured_us"]),
        row("the same, nothing measured within", lambda case: case["cpu_us"]),
        row("server before it: HTTP parsing, no socket", lambda case: case["server_us"]),
        row("waiting for the source", lambda case: case["waiting_us"]["source"]),
        row("waiting for the audit record", lambda case: case["waiting_us"]["audit"]),
    ]
    head = f"Microseconds, medians of {found['requests']:,} requests, one after another:\n\n"
    return head + _table(["stage", "1 row", "100 rows"], rows)


def _scale(cases: Results) -> str:
    told: list[list[str]] = []

    def tell(case: str, figures: Callable[[Any], str]) -> None:
        told.append([f"`{case}`", figures(cases[case]) if case in cases else NOT_MEASURED])

    tell(
        "scale",
        lambda f: (
            f"5,000 resources: schema {f['schema']['ratio']:.2f} × the bare build (at most 3); a publication served by "
            f"every node within {f['publication']['worst_seconds']:.2f} s (3 s), event loop held at most "
            f"{f['publication']['held_ms']:.1f} ms (50 ms); memory {f['memory_small']['growth']:+.1%} over "
            f"{f['memory_small']['publications']:,} publications; a cold department "
            f"{f['cold_department']['over_warm_ms']:.1f} ms over warm (20 ms)"
        ),
    )
    tell(
        "grants_100k",
        lambda f: (
            f"100,000 grants of 500 departments against 26 of 18: {f['vs_ours']:.2f} of the requests per second (0.9)"
        ),
    )
    tell(
        "cold_plan",
        lambda f: (
            ", ".join(
                f"{n} statement{'s' * (n > 1)}: {f[f'plan_{n}_ms']:.2f} ms "
                f"after {f[f'read_{n}_ms']:.2f} ms of parsing and validation"
                for n in (1, 2, 5)
            )
            + " (5 ms for one, 2 ms more for each)"
        ),
    )
    tell(
        "export",
        lambda f: (
            f"{f['rows']:,} rows, memory above idle (at most {f['bar_mb']:.0f} MB): "
            + ", ".join(
                f"{name} {f[name]['peak_mb']:.1f} MB at {f[name]['rows_per_second']:,} rows/s"
                for name in ("ndjson", "csv", "parquet", "arrow")
            )
        ),
    )
    tell(
        "isolation",
        lambda f: (
            f"p99 of one source while another hangs: {f['p99_ratio']:.2f} × (at most {f['bar']:g}), "
            f"{f['waiting_clients']} clients wait for the other"
        ),
    )
    tell(
        "subscriptions",
        lambda f: (
            f"{f['number']:,} idle: {f['event_stream_bytes'] / 1e3:.1f} kB each as event streams, "
            f"{f['websocket_alone_bytes'] / 1e3:.1f} kB with a WebSocket each, {f['websocket_bytes'] / 1e3:.1f} kB "
            f"with twenty on one (at most {f['bar_bytes'] / 1e3:.0f} kB)"
        ),
    )
    tell(
        "workers",
        lambda f: "; ".join(
            f"`{name}`: two workers give {f[name]['ratio']:.2f} × one on {f['cores']} cores, which allow "
            f"{f[name]['ratio_these_cores_allow']:.2f}"
            for name in ("list_1", "list_100")
        ),
    )
    return _table(["case", "figures, and bars in brackets"], told)


def _scaling(cases: Results) -> str:
    rows = []
    for name in ("list_1", "list_100", "list_1000", "join_100"):
        ours = cases.get(name, {}).get("subjects", {}).get("ours")
        if ours is None or not ours["cpu_ms"]["subject"]:
            rows.append([f"`{name}`", NOT_MEASURED, "", ""])
            continue
        cpu = ours["cpu_ms"]
        rows.append([f"`{name}`", *(f"{1_000 / cpu[part]:,.0f}" if cpu[part] else "–" for part in _WHOSE)])
    return _table(["case", "a core of a node", "a core of the sources", "a core of the platform database"], rows)


_WHOSE = ("subject", "sources", "platform")


def _short(cases: Results) -> str:
    found = cases.get("list_100", {})
    told = (
        ("raw", "of the requests per second of a hand-written handler that does no check"),
        ("strawberry", "times as many as stock Strawberry"),
        ("postgraphile", "times as many as PostGraphile 5, which does none of the checks"),
    )
    lines = [
        f"- **{found[f'vs_{other}']:.2f}** {text}"
        if found.get(f"vs_{other}") is not None
        else f"- against {NAMES[other]}: {NOT_MEASURED}"
        for other, text in told
    ]
    return "\n".join(lines)


PARTS: Mapping[str, Callable[[Results], str]] = {
    "ratios": _ratios,
    "cpu": _cpu,
    "below": _missed,
    "stages": _stages,
    "scale": _scale,
    "scaling": _scaling,
    "speed": _short,
}
"""By marker: what is written there, from the cases of the results."""


def main() -> None:
    """Rewrites the pages from the results that are there."""
    rewrite(json.loads(RESULTS.read_text(encoding="utf-8")))
