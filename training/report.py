"""The honest table: goal, reached, and what is missing, as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.evaluate import ASKED

__all__ = ["compared", "table"]

GOAL = 0.9


def table(m: dict[str, Any], prototype: dict[str, Any] | None = None) -> str:
    """``m`` is a ``Measured`` as it was written to JSON; the prototype's stands beside it when there is one."""
    rows: list[tuple[str, ...]] = (
        [("measured", "goal", "reached", "before")] if prototype else [("measured", "goal", "reached")]
    )
    rows += [tuple("---" for _ in rows[0])]
    for what, goal, value in _lines(m):
        before = {w: v for w, _, v in _lines(prototype)}.get(what, "–") if prototype else None
        rows.append((what, goal, value) if before is None else (what, goal, value, before))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _lines(m: dict[str, Any]) -> list[tuple[str, str, str]]:
    share = "{:.1%}".format
    found = [(f"{name}, read from {m['pictures']} pictures", "≥ 90 %", share(m["obeyed"][name])) for name in ASKED]
    found += [
        (f"the reader itself on held-out renders: {name}", "≥ 97 %", share(m["reader"][name]))
        for name in (*ASKED, "expression", "beard")
    ]
    found += [
        (
            f"four ages at one seed, of {m['ages_seeds']} seeds: in order, with background, role and view kept",
            "≥ 90 %",
            share(m["ages_all"]),
        ),
        ("– in order", "", share(m["ages_order"])),
        *((f"– {name} kept", "", share(value)) for name, value in m["ages_kept"].items()),
        (
            "Fréchet distance to held-out renders",
            "half of before",
            f"{m['frechet']:.1f} (renders against renders: {m['frechet_floor']:.1f})",
        ),
    ]
    for name, (whole, face) in m["psnr"].items():
        goal = {"own": "≥ 30 dB, face ≥ 27 dB", "ft": "1.5 dB more", "tiny": "a preview"}[name]
        found.append((f"autoencoder, held-out renders: {name}", goal, f"{whole:.1f} dB, face {face:.1f} dB"))
    found += [
        (f"{name}: still there", "less", f"{share(after)} (without: {share(before)})")
        for name, (before, after) in m["negative"].items()
    ]
    found += [(f"left open, bits over 24 seeds, {name}", "> 0", f"{bits:.1f}") for name, bits in m["spread"].items()]
    found += [
        (f"{name} with unknown words behind", "no harm", f"{share(after)} (without: {share(before)})")
        for name, (before, after) in m["nonsense"].items()
    ]
    found += [
        (
            f"{name} against float32, 32 pictures",
            "the same to the eye",
            f"{share(alike)} read alike, {apart:.1f} levels of 255 apart",
        )
        for name, (alike, apart) in m.get("halves", {}).items()
    ]
    found.append(("size, float16, all parts", "≤ 20 MB", f"{m['size'] / 1e6:.1f} MB"))
    for name, seconds in m["seconds"].items():
        found.append(
            (f"seconds a picture, float32, 20 steps, {name}", "≤ 0.7" if name == "alone" else "≤ 0.3", f"{seconds:.2f}")
        )
    return found


def compared(work: Path, name: str, before: str | None) -> str:
    """The table of ``name`` from the work folder, beside that of ``before``."""

    def load(which: str) -> dict[str, Any]:
        return json.loads((work / "evaluation" / f"{which}.json").read_text())

    return table(load(name), load(before) if before else None)
