"""Draws the columns of progress bars: what is counted has a bar, what is waited for has its seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from promptlab.cli.waiting_line import waited

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

__all__ = ["progress_columns"]

_WIDE: Final = 24
"""Characters for what is done, so that bars stay where they are while seconds are counted beside them."""


def progress_columns() -> tuple[ProgressColumn, ...]:
    """Return the columns of all bars."""
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class _What(ProgressColumn):
        def render(self, task: Task) -> Text:
            if task.total is not None:
                return Text(task.description)
            return Text(waited(task.description, task.elapsed or 0), style="dim")

    class _Bar(BarColumn):
        def __call__(self, task: Task) -> Text:
            return Text() if task.total is None else super().__call__(task)  # type: ignore[return-value]

    class _Count(MofNCompleteColumn):
        def render(self, task: Task) -> Text:
            return Text() if task.total is None else super().render(task)

    class _Left(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            return Text() if task.total is None or task.time_remaining is None else super().render(task)

    return _What(Column(min_width=_WIDE)), _Bar(), _Count(), _Left()
