"""Renders what ``promptlab probe`` measured: the table, what it means, what to type next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptlab.cli.render.layout import counted, table
from promptlab.records import ProbeRecord, ProbeTrial

__all__ = ["chosen_batch_line", "probe_lines", "trial_text"]


def probe_lines(probe: ProbeRecord, share: float, *, typed: Sequence[str] = ()) -> list[str]:
    """Return the table, and a few sentences.

    Args:
        share: of the memory that a forward may take on a CPU.
        typed: the options that were typed, for the command to go on with.
    """
    call = probe.spec.call
    steps = call.num_inference_steps or probe.measured_steps
    size = f", {call.width}x{call.height}" if call.width else ""
    lines = [f"{probe.spec.pipeline.model}{size}, {probe.spec.pipeline.dtype} on {probe.device}"]
    ways = [sliced for sliced in (False, True) if any(one.attention_slicing == sliced for one in probe.tried)]
    sizes = sorted({one.batch_size for one in probe.tried})
    heads = ["BATCH SIZE"]
    for sliced in ways:
        heads += [f"S/IMAGE{' SLICED' if sliced else ''}", f"PEAK MEMORY{' SLICED' if sliced else ''}"]
    by = {(one.batch_size, one.attention_slicing): one for one in probe.tried}
    rows = [[str(size), *(cell for sliced in ways for cell in _cells(by.get((size, sliced)), steps))] for size in sizes]
    lines += table(heads, rows, right=frozenset(range(len(heads))))
    lines.append(
        f"seconds: of {steps} steps, by {probe.measured_steps} that were measured; sliced: --attention-slicing"
    )
    if probe.unsliced_only:
        lines.append(f"without attention slicing only: it {probe.unsliced_only}")
    lines.append(_memory(probe, share))
    return [*lines, _next(probe, ways, typed)]


def trial_text(batch_size: int, *, sliced: bool) -> str:
    """Say what is going on while a size is tried out."""
    return f"trying {counted(batch_size, 'image')} in one forward" + (" with attention slicing" if sliced else "")


def chosen_batch_line(batch_size: int, tried: int) -> str:
    """Say what the batch size ``auto`` came to."""
    how = f"{counted(tried, 'size')} tried out" if tried else "as was found before"
    return f"batch size {batch_size}: the most that fit into one forward ({how})"


def _cells(one: ProbeTrial | None, steps: int) -> tuple[str, str]:
    if one is None:
        return "-", "-"
    memory = "-" if one.peak_memory is None else f"{one.peak_memory / 2**20:,.0f} MiB"
    taken = one.seconds_per_image(steps)
    if not one.fits or taken is None:
        return "does not fit", memory
    return f"{taken:.2f}" if taken >= 0.1 else f"{taken:.3g}", memory


def _memory(probe: ProbeRecord, share: float) -> str:
    there = f"{probe.available / 2**30:,.1f} GiB"
    if probe.device != "cpu":
        return f"memory: the most that torch had allocated on {probe.device}, of {there}"
    return (
        f"memory: the most that the whole process had, weights included; up to {share:.0%} of the {there} that there "
        "are counts as fitting"
    )


def _next(probe: ProbeRecord, ways: Iterable[bool], typed: Sequence[str]) -> str:
    found = {sliced: probe.largest(attention_slicing=sliced) for sliced in ways}
    fitting = [(size, sliced) for sliced, size in found.items() if size is not None]
    if not fitting:
        return "not one image fits; type: promptlab probe with --vae-slicing, a smaller --size, or --dtype float16"
    size, sliced = max(fitting, key=lambda pair: (pair[0], not pair[1]))
    words = [*typed, "--batch-size", str(size), *(["--attention-slicing"] if sliced else [])]
    return f'next: promptlab run "…" {" ".join(words)}'
