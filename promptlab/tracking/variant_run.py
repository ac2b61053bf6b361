"""Writes one variant of one run as an MLflow run: parameters, metrics, tags, description. Pure.

The rules come from how MLflow shows things. Parameters stand above every image, so they are short and the prompt is
none of them; prompts go in full into the description, a tag and a text file. Parameters cannot be changed once logged,
so nothing that a resumed run may change is one. Values stay under MLflow's limits, beyond which it cuts in silence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from promptlab.errors import one_line
from promptlab.expand.settings_text import change_text
from promptlab.expand.suggestions import suggested_edit
from promptlab.expand.variant_pairs import origin
from promptlab.records import ImageRecord, ImageStatus, RunRecord, RunStatus, VariantRecord
from promptlab.specs import Scalar
from promptlab.tracking.internals import IMAGES_TAG
from promptlab.tracking.markdown import cut_at, escaped, quoted, word_changes
from promptlab.tracking.params import base_params, conditioning_params, param_name, param_text, seeds_text, sweep_param
from promptlab.tracking.rating_metrics import rating_metrics, rating_tag, score_metrics
from promptlab.tracking.tags import PARAM_LIMIT, RUN_METRIC, SEEDS_PARAM, SWEEP_TAG, TAG_LIMIT, UID_TAG, VARIANT_TAG

__all__ = ["ParentRunLink", "VariantRun", "origin_of", "part_of_sweep", "run_address"]

_RERUN: Final = 'promptlab rerun {run} --seed {seed} --{field} "{words}"'

_STANDING: Final = {
    RunStatus.RUNNING: "the run is under way",
    RunStatus.FINISHED: "the others are owed",
    RunStatus.FAILED: "the run failed",
    RunStatus.KILLED: "the run was stopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRunLink:
    """Names where MLflow shows the variant that this one was varied from: both ids are MLflow's."""

    experiment_id: str
    run_id: str
    variant: VariantRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRun:
    """Represents one variant of a run as an MLflow run.

    Args:
        run: the whole run.
        variant: one of its variants.
        parent: the run that it was varied from.
        parent_link: where MLflow shows the parent's variant; ``None`` when MLflow does not know it.
        sweep_address: where MLflow shows the sweep that the run is a part of, as far as it knows it.
        measured: further metrics, measured of its images after the run.
    """

    run: RunRecord
    variant: VariantRecord
    parent: RunRecord | None = None
    parent_link: ParentRunLink | None = None
    sweep_address: str | None = None
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """Return the variant's images, made or owed, in the order of the seeds."""
        return tuple(image for image in self.run.images if image.variant == self.variant.position)

    @property
    def made(self) -> tuple[ImageRecord, ...]:
        """Return the variant's images that are whole on disk."""
        return tuple(image for image in self.images if image.status is ImageStatus.MADE)

    @property
    def label(self) -> str:
        """Return a few words for the variant."""
        return one_line(self.variant.variant.label or self.variant.variant.prompt, limit=60)

    @property
    def name(self) -> str:
        """Return the MLflow run's name: ``3 · the oldest``, with the run's own name where it has one.

        In a sweep the values tell runs apart: ``3 · euler · 20``, and the variant only where there are several.
        """
        values = [one_line(value, limit=40) for _, value in self.run.sweep_values]
        label = self.label if not values or len(self.run.variants) > 1 else ""
        parts = (str(self.run.id), one_line(self.run.name or "", limit=60), *values, label)
        return cut_at(" · ".join(part for part in parts if part), 250)

    @property
    def start_ms(self) -> int:
        """Return when the run began, in ms.

        Variants a millisecond apart: MLflow orders by this, and they stay in order.
        """
        return int(self.run.created_at.timestamp() * 1000) + self.variant.position

    @property
    def end_ms(self) -> int | None:
        """Return when the run ended, in ms."""
        ended = self.run.ended_at
        return None if ended is None else max(int(ended.timestamp() * 1000), self.start_ms)

    def params(self) -> dict[str, str]:
        """Return what was asked for, in short values."""
        spec = self.run.spec
        base = base_params(spec)
        given: dict[str, Scalar] = {
            "variant": self.label,
            **base,
            "size": base["size"] or self._size_made(),
            # Cut between two seeds and never within one: the view reads this back.
            SEEDS_PARAM: cut_at(seeds_text(spec.seeds), PARAM_LIMIT, at=", "),
            "batch_size": spec.batch_size,
            "device": self.run.device,
            "workers": self.run.workers,
            "devices": ", ".join(self.run.devices),
            **conditioning_params(spec),
            **{sweep_param(field): value for field, value in self.run.sweep_values},
        }
        return {
            param_name(name): cut_at(param_text(value), PARAM_LIMIT)
            for name, value in given.items()
            if value not in (None, "")
        }

    def metrics(self) -> dict[str, float]:
        """Return what it took and what came of it; and the run's number, to sort by.

        Times in seconds, memory in MiB.
        """
        here = [image for image in self.made if image.linked is None]
        taken = [image.seconds for image in here if image.seconds is not None]
        memory = [image.peak_memory for image in self.made if image.peak_memory is not None]
        given: dict[str, float | None] = {
            "seconds_per_image": sum(taken) / len(taken) if taken else None,
            "load_seconds": self.run.load_seconds,
            "generate_seconds": self.run.generate_seconds,
            "peak_memory_mb": max(memory) / 2**20 if memory else None,
            "images_made": len(self.made),
            "images_linked": len(self.made) - len(here) or None,
            "images_owed": len(self.images) - len(self.made),
            "images_flagged": sum(image.flag is not None for image in self.images),
            **rating_metrics(self.images),
            **score_metrics(self.images),
            **self.measured,
        }
        # Four digits tell all that timing can; the table shows every digit there is.
        known = {name: value for name, value in given.items() if value is not None and math.isfinite(value)}
        return {RUN_METRIC: float(self.run.id)} | {name: float(f"{value:.4g}") for name, value in known.items()}

    def tags(self) -> dict[str, str]:
        """Return what tells the MLflow run apart, and the words; all but the description.

        That needs the MLflow run's id.
        """
        run, words = self.run, self.variant.variant
        given: dict[str, Scalar] = {
            "prompt": words.prompt,
            "negative_prompt": words.negative_prompt,
            "note": run.note,
            "promptlab.run": run.id,
            UID_TAG: run.uid,
            SWEEP_TAG: run.sweep_id,
            VARIANT_TAG: self.variant.position,
            "promptlab.model_identity": run.model_identity,
            "promptlab.vae_identity": run.vae_identity,
            "promptlab.parent_run": run.parent_run_id,
            "promptlab.flags": ", ".join(f"{image.ref} {image.flag}" for image in self.images if image.flag),
            "promptlab.smaller_batches": ", ".join(
                f"{image.ref} {image.batch_size}" for image in self.images if image.batch_size
            ),
            "promptlab.decoded_again": ", ".join(
                f"{image.ref} {image.decoded_in}" for image in self.images if image.decoded_in
            ),
            "promptlab.verified": self._verified(),
            "promptlab.rating": rating_tag(self.images),
            "promptlab.error": run.error and one_line(run.error),
            "mlflow.source.name": "promptlab",
            "mlflow.source.type": "LOCAL",
            **({IMAGES_TAG: "True"} if self.made else {}),
        }
        return {name: cut_at(param_text(value), TAG_LIMIT) for name, value in given.items() if value not in (None, "")}

    def prompt_file(self) -> str:
        """Return ``prompt.txt``: the words in full, however long."""
        words = self.variant.variant
        return words.prompt + "\n" + (f"\nNegative prompt: {words.negative_prompt}\n" if words.negative_prompt else "")

    def description(
        self, mlflow_run_id: str, *, has_grid: bool, report: str | None = None, page: str | None = None
    ) -> str:
        """Return Markdown for the top of the run's page: grid, words, lineage, what to type next.

        Args:
            mlflow_run_id: its own.
            has_grid: whether there is a ``thumb.png``.
            report: the address of the run's report, where there is one.
            page: the address at which one goes on from the run, where our own server shows MLflow's pages.
        """
        words = self.variant.variant
        parts = [f"![grid](get-artifact?path=thumb.png&run_uuid={mlflow_run_id})"] if has_grid else []
        if report is not None:
            parts.append(f"[**Open the report**]({report}): zoom, compare, everything about a picture")
        if page is not None:
            parts.append(f"[**Go on from it**]({page}) on PromptLab's page, while `promptlab ui` has it open")
        parts.extend(self._standing())
        parts.append(quoted("Prompt", words.prompt, limit=2400))
        if words.negative_prompt:
            parts.append(quoted("Negative prompt", words.negative_prompt, limit=1200))
        parts.extend(self._lineage(limit=1600))
        if self.run.note:
            parts.append(quoted("Note", self.run.note, limit=600))
        parts.append("**Next**\n\n```\n" + "\n".join(self._commands()) + "\n```")
        return cut_at("\n\n".join(parts), TAG_LIMIT)

    def _standing(self) -> Iterator[str]:
        """Yield a line for each way in which a run is more or less than its own whole."""
        if self.run.sweep_id is not None:
            values = ", ".join(f"{field} {value}" for field, value in self.run.sweep_values)
            yield f"{part_of_sweep(self.run.sweep_id, self.sweep_address)} {escaped(values, limit=600)}"
        linked = [image for image in self.made if image.linked is not None]
        if linked:
            sources = sorted({image.linked[0] for image in linked if image.linked})
            plural = "s" if len(sources) > 1 else ""
            yield (
                f"**{len(linked)} of {len(self.images)} pictures linked** from run{plural} {seeds_text(sources)}, "
                "where the same recipe had been made before."
            )
        owed = len(self.images) - len(self.made)
        if owed:
            yield f"**{len(self.made)} of {len(self.images)} pictures made: {_STANDING[self.run.status]}.**"
        if self.run.error:
            yield f"> {escaped(one_line(self.run.error), limit=600)}"
        if verified := self._verified():
            yield f"**Verified:** {escaped(verified, limit=300)}"
        flagged = [f"seed {image.seed} ({image.flag})" for image in self.images if image.flag]
        if flagged:
            yield f"**Look twice:** {escaped(', '.join(flagged), limit=300)}"

    def _lineage(self, *, limit: int) -> Iterator[str]:
        if self.parent is None:
            return
        link, mine = self.parent_link, self.variant.variant
        source = link.variant if link else origin_of(self.variant, self.parent)
        name = escaped(VariantRun(run=self.parent, variant=source).name)
        shown = f"[{name}]({run_address(link.experiment_id, link.run_id)})" if link else name
        parents = {image.parent for image in self.images}
        image = parents.pop() if len(parents) == 1 else None
        lines = [f"**Varied from** {shown}" + (f", image {image[0]}/{image[1]}" if image else "")]
        for title, old, new in (
            ("", source.variant.prompt, mine.prompt),
            ("Negative prompt: ", source.variant.negative_prompt, mine.negative_prompt),
        ):
            if old != new:
                lines.append(f"> {title}{word_changes(old, new, limit=limit // 2)}")
        settings = [change for change in self.run.changes if change.field not in ("prompts", "negative_prompts")]
        if settings:
            lines.append("\n".join(f"- {escaped(change_text(change), limit=200)}" for change in settings[:12]))
        yield "\n\n".join(lines)

    def _commands(self) -> Iterator[str]:
        field, words = suggested_edit([each.variant.prompt for each in self.run.variants])
        yield _RERUN.format(run=self.run.id, seed=self.run.spec.seeds[0], field=field, words=words)
        yield f"promptlab show {self.run.id}"
        yield f"promptlab open {self.run.id}"

    def _verified(self) -> str | None:
        """Return what came of verifying, and when: ``7 exact, 1 close of 8, 2026-11-23``."""
        found = [image.verified for image in self.images if image.verified is not None]
        if not found:
            return None
        tally = ", ".join(f"{count} {outcome}" for outcome, count in Counter(one.outcome for one in found).items())
        causes = dict.fromkeys(str(change) for one in found for change in one.changes if one.outcome != "exact")
        since = f"; changed since: {'; '.join(causes)}" if causes else ""
        return f"{tally} of {len(self.images)}, {max(one.verified_at for one in found):%Y-%m-%d %H:%M} UTC{since}"

    def _size_made(self) -> str | None:
        sizes = {(image.width, image.height) for image in self.run.made if image.width and image.height}
        return "{}x{}".format(*sizes.pop()) if len(sizes) == 1 else None


def origin_of(variant: VariantRecord, parent: RunRecord) -> VariantRecord:
    """Return the variant of ``parent`` that ``variant`` was varied from."""
    place = origin(variant.variant, variant.position, [one.variant for one in parent.variants])
    return parent.variants[place or 0]


def part_of_sweep(sweep_id: int, address: str | None) -> str:
    """Return how a description says which sweep the run is a part of.

    Without ``address`` it can be found and linked later.
    """
    name = f"sweep {sweep_id}"
    return f"**Part of {name if address is None else f'[{name}]({address})'}:**"


def run_address(experiment_id: str, run_id: str) -> str:
    """Return what follows the server's address to show one of MLflow's runs."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
