"""Renders what a server is at: memory held, model loaded, jobs done and under way, time left."""

from __future__ import annotations

from collections.abc import Iterator

from promptlab.cli.output import visible
from promptlab.cli.render.layout import counted
from promptlab.serving.messages import FOREVER, ServerStatus

__all__ = ["status_lines", "waiting_line"]


def status_lines(status: ServerStatus) -> Iterator[str]:
    """Yield a line on the process, one on its model, and one for each job."""
    yield f"server: process {status.pid}, PromptLab {status.version}, {_time_left(status)}"
    model = "no model loaded yet" if status.model is None else f"model {visible(status.model)} loaded"
    yield f"  {model}, {status.memory / 2**30:.2f} GiB of memory held, {counted(status.jobs_done, 'job')} done"
    for job in status.jobs:
        yield f"  {f'waiting, {job.ahead} before it' if job.ahead else 'under way'}: {job.verb} in {job.workspace}"


def waiting_line(ahead: int) -> str:
    """Return how many jobs a server carries out before this one."""
    return f"waiting: {counted(ahead, 'job')} of other commands before this one"


def _time_left(status: ServerStatus) -> str:
    if status.keep_alive == FOREVER:
        return "stays until it is stopped"
    if status.seconds_left is None:
        return f"ends {status.keep_alive:g} minutes after its last job"
    minutes, seconds = divmod(round(status.seconds_left), 60)
    return f"ends in {minutes}:{seconds:02} minutes"
