"""Writes a run or a sweep as one HTML file: every image beside every other, along any axes.

The file needs nothing but a browser: style, script, words and small images lie in it, and it opens from disk as well
as in MLflow's sandboxed frame. Invariants: like a grid it is made from the records alone; nothing that a user typed is
ever markup or script; it stays under 15 MB with thousands of images. The images themselves are where they were, one
click away.

A file cannot know where MLflow shows its images until MLflow has recorded them, so that is filled in last, by
:func:`address_report`.
"""

from __future__ import annotations

from promptlab.images.report.page import address_report
from promptlab.images.report.saving import save_report, save_sweep_report

__all__ = ["address_report", "save_report", "save_sweep_report"]
