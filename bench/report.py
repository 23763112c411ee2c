"""The samples as tables for people, and as JSON."""

from typing import Any

from bench.rounds import Medians, Sample, Table, best_floor, medians

HEAD = (
    f"{'':27}{'up':>9} {'each':>8} {'× floor':>8}{'down':>10} {'each':>8} {'× floor':>8}{'peak':>8}"
)


def by_floor(it: Medians, floor: Medians) -> float:
    """Hold a command against the floor's process, a session against the floor's own count."""
    return it.up / (floor.up if it.wall is not None else floor.inside or floor.up)


def row(name: str, n: int, it: Medians, floor: Medians) -> str:
    """Return one line of the table."""
    return (
        f"{name:27}{it.up:8.3f}s {it.up / n * 1e3:6.2f}ms {by_floor(it, floor):8.2f}"
        f"{it.gone:9.3f}s {it.gone / n * 1e3:6.2f}ms {it.gone / floor.gone:8.2f}"
        f"{it.peak_kb / 1024:6.1f}MB"
    )


def at_size(n: int, samples: dict[str, list[Sample]]) -> str:
    """Return the table of one N; `down` is until the last port has gone."""
    found = {name: medians(some) for name, some in samples.items() if some}
    lines = [f"{n} namespaces, median of {len(samples['floor'])}", HEAD]
    floor = best_floor(found)
    lines += [row(name, n, it, floor) for name, it in found.items()]
    lines += [
        f"  {name}: "
        + ", ".join(f"{key} {value / n * 1e3:.3f}" for key, value in it.phases.items())
        for name, it in found.items()
        if len(it.phases) > 1
    ]
    return "\n".join(lines)


def scaling(table: Table) -> str:
    """Return how the time for one namespace grows from 500 to the largest N."""
    small, large = 500, max(table)
    if small not in table or large <= small:
        return ""
    lines = [f"one namespace at {large} against one at {small}, up"]
    for name in table[large]:
        one, other = (medians(table[n][name]).up / n for n in (small, large))
        lines.append(f"{name:27}{one * 1e3:6.2f}ms {other * 1e3:6.2f}ms  × {other / one:.2f}")
    return "\n".join(lines) + "\n"


def extras(found: dict[str, float]) -> str:
    """Return what is no matter of N."""
    return "\n".join(
        f"{name:46}" + (f"{value:8.3f}" if "÷" in name else f"{value * 1e3:8.1f} ms")
        for name, value in found.items()
    )


def as_json(table: Table) -> dict[str, Any]:
    """Return medians, ratios and every sample."""
    result: dict[str, Any] = {}
    for n, subjects in table.items():
        found = {name: medians(some) for name, some in subjects.items()}
        floor = best_floor(found)
        result[str(n)] = {
            name: {
                **it._asdict(),
                "up_by_floor": it.up
                / (floor.up if it.wall is not None else floor.inside or floor.up),
                "gone_by_floor": it.gone / floor.gone,
                "samples": [
                    {"up": s.up._asdict(), "down": s.down._asdict(), "gone": s.gone}
                    for s in subjects[name]
                ],
            }
            for name, it in found.items()
        }
    return {"sizes": result}
