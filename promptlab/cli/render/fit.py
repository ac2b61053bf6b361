"""Renders whether a model will run here, and how: what it takes, what there is, what to type. Pure."""

from __future__ import annotations

from typing import Final

from promptlab.cli.spelling import spell
from promptlab.errors import one_line
from promptlab.plan.memory import FitReport, WayToFit

__all__ = ["fit_lines", "fit_pairs"]

_SMALL: Final = 0.01
"""Of all weights: parts below are not told one by one."""


def fit_pairs(report: FitReport) -> list[tuple[str, str | None]]:
    """Return name and value of what a plan says: memory, what would make it fit, what is to be downloaded."""
    there = "" if report.fits else f" of {_size(report.available)}"
    answer = "fits" if report.fits else "does not fit"
    about = f"about {_size(report.need.total)}{there} on {report.device}"
    found: list[tuple[str, str | None]] = [("memory", f"{about}: {answer} (an estimate: {_held(report)})")]
    found += [("fits with" if not at else "or with", _way(way)) for at, way in enumerate(report.ways)]
    if not report.fits and not report.ways:
        found.append(("fits with", "nothing that is known: a smaller model or picture, or another device"))
    if report.absent:
        free = "" if report.disk is None else f"; {_size(report.disk)} are free on the disk"
        found.append(("to download", f"{_size(report.absent)}{free}"))
    return found


def fit_lines(model: str, report: FitReport) -> list[str]:
    """Return the answer to whether a model will run here, and how."""
    answer = "will run here" if report.fits else "will run here with fewer bits or more time"
    if not report.fits and not report.ways:
        answer = "will not fit here"
    there = f"  {report.device} has {_size(report.available)} to give"
    lines = [f"  {name:<11}  {value}" for name, value in fit_pairs(report)]
    return [f"{model} {answer}", *lines, there]


def _held(report: FitReport) -> str:
    whole = sum(size for _, size in report.parts) or 1
    told = [f"{name} {_size(size)}" for name, size in report.parts if size > whole * _SMALL]
    return ", ".join([*told, f"work {_size(report.need.work)}"])


def _way(way: WayToFit) -> str:
    typed = " ".join(_typed(name, value) for name, value in way.changes)
    return f"{typed}: about {_size(way.need.total)}"


def _typed(name: str, value: object) -> str:
    return spell(name, None) if value is True else one_line(spell(name, str(value)))


def _size(size: int) -> str:
    if size < 10 * 2**20:
        return f"{size / 2**20:,.1f} MiB"
    return f"{size / 2**20:,.0f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"
