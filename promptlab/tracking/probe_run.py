"""Writes a probe as an MLflow run whose metrics have the batch size as step: charts draw it.

With and without attention slicing are metrics of their own, side by side in one chart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from promptlab.records import ProbeRecord, ProbeTrial
from promptlab.tracking.params import base_params
from promptlab.tracking.tags import PARAM_LIMIT

__all__ = ["TABLE", "ProbeRun"]

TABLE = "probe.md"


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """Represents one probe as an MLflow run."""

    probe: ProbeRecord

    @property
    def name(self) -> str:
        """Return the MLflow run's name."""
        spec = self.probe.spec
        size = f" · {spec.call.width}x{spec.call.height}" if spec.call.width else ""
        return f"probe · {spec.pipeline.model.rsplit('/', 1)[-1][:80]}{size} · {self.probe.device}"

    def params(self) -> dict[str, str]:
        """Return what was tried out."""
        spec = self.probe.spec
        machine = {name: value for name, value in spec.machine.said.items() if name != "attention_slicing"}
        given = {
            **base_params(spec),
            "device": self.probe.device, "measured_steps": self.probe.measured_steps, **machine,
        }  # fmt: skip
        return {name: str(value)[:PARAM_LIMIT] for name, value in given.items() if value is not None}

    def metrics(self) -> Iterator[tuple[str, float, int]]:
        """Name, value and batch size; then, at 0, the largest that fitted, and the memory there was."""
        steps = self.probe.spec.call.num_inference_steps or self.probe.measured_steps
        for one in self.probe.tried:
            way = "_sliced" if one.attention_slicing else ""
            for name, value in (
                (f"seconds_per_image{way}", one.seconds_per_image(steps)),
                (f"peak_memory_mb{way}", None if one.peak_memory is None else one.peak_memory / 2**20),
                (f"fits{way}", float(one.fits)),
            ):
                if value is not None and math.isfinite(value):
                    yield name, float(f"{value:.4g}"), one.batch_size
        for way, sliced in (("", False), ("_sliced", True)):
            largest = self.probe.largest(attention_slicing=sliced)
            if largest is not None:
                yield f"largest_batch_size{way}", float(largest), 0
        yield "available_memory_mb", float(f"{self.probe.available / 2**20:.4g}"), 0

    def tags(self) -> dict[str, str]:
        """Return what tells it from other runs."""
        return {
            "promptlab.probe": "batch size",
            "promptlab.model_identity": self.probe.model_identity,
            "promptlab.environment": self.probe.environment.hash,
            "mlflow.source.name": "promptlab",
            "mlflow.source.type": "LOCAL",
        }

    def table(self) -> str:
        """Return the description in Markdown, which is a file, too."""
        steps = self.probe.spec.call.num_inference_steps or self.probe.measured_steps
        lines = ["| batch size | attention slicing | seconds per image | peak memory |", "| ---: | --- | ---: | ---: |"]
        lines += [f"| {' | '.join(_cells(one, steps))} |" for one in self.probe.tried]
        return "\n".join(lines) + "\n"


def _cells(one: ProbeTrial, steps: int) -> tuple[str, str, str, str]:
    sliced, taken = "on" if one.attention_slicing else "off", one.seconds_per_image(steps)
    seconds = "does not fit" if taken is None or not one.fits else f"{taken:.3g}"
    return (
        str(one.batch_size),
        sliced,
        seconds,
        "" if one.peak_memory is None else f"{one.peak_memory / 2**20:,.0f} MiB",
    )
