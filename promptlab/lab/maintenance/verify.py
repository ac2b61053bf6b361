"""Verifies images: makes them again exactly as recorded, and compares.

A picture is made again at the batch size at which it was made, with those of its run that came out with it, so that
nothing but the environment can have changed; and of that the fields that did are named. Weights are told apart by
content, so a model that changed under its name is found before anything is made. Nothing is claimed that was not
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.engine import NO_PERMISSIONS, Engine, ImageDone, Permissions, finished_images
from promptlab.errors import InputError, PromptLabError, UnknownValue, one_line, ref_value
from promptlab.images.difference import difference
from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab.execution.events import ImagesVerified, VerifyStarted, Watch
from promptlab.lab.execution.weights import check_weights, said_of
from promptlab.lab.maintenance.verify_selection import PHOTOS
from promptlab.plan import ImageRequest, ResolvedSpec, requests_of, requests_of_records
from promptlab.plan.order import ordered
from promptlab.records import Environment, ImageRecord, Outcome, RunRecord, Verification
from promptlab.specs import Change, RunSpec
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from promptlab.store.notebook import Notebook

__all__ = ["CLOSE", "Verdict", "Verifier"]

CLOSE: Final = 25.0
"""dB of PSNR from which two pictures are taken for the same noise and words. With the bundled model, pictures of the
same words at other seeds lie below 17 dB, those of one seed in bfloat16 and float32 at 36, at another batch size or
thread count above 84."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Tells what came of one image.

    Args:
        ref: ``3/12``, or the path of a picture that is not this workspace's.
        run_id: of the run it belongs to.
        verification: ``None`` when it could not be made again.
        problem: why not.
    """

    ref: str
    run_id: int | None = None
    verification: Verification | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Again:
    """Names a run whose images are to be made again: ``wanted`` of them are compared."""

    run: RunRecord
    resolved: ResolvedSpec
    wanted: Sequence[ImageRecord]


class Verifier:
    """Makes pictures again and compares them.

    Args:
        engine: what makes them.
        notebook: what was made; opened only for pictures of this workspace.
        workspace: where the kept ones lie.
        watch: told of every image that is compared.
        permissions: what the engine may do.
    """

    def __init__(
        self,
        engine: Engine,
        notebook: Callable[[], Notebook],
        workspace: Workspace,
        watch: Watch,
        *,
        permissions: Permissions = NO_PERMISSIONS,
    ) -> None:
        self._engine, self._notebook, self._workspace, self._watch = engine, notebook, workspace, watch
        self._permissions = permissions
        self._compared = 0

    def images(self, images: Iterable[ImageRecord]) -> Iterator[Verdict]:
        """Verify images of this workspace, a linked one by the image that it is a link to.

        What came of each is stored as soon as it is known; runs are taken in an order that loads each model once.
        """
        book = self._notebook()
        wanted: dict[int, dict[int, None]] = {}
        for image in images:
            run_id, position = image.linked or (image.run_id, image.position)
            wanted.setdefault(run_id, {})[position] = None
        self._watch(VerifyStarted(images=sum(map(len, wanted.values()))))
        again: list[_Again] = []
        for run_id, positions in wanted.items():
            run = book.run(run_id)
            try:
                resolved = self._as_recorded(run)
            except PromptLabError as error:
                yield from self._unmade([run.images[position] for position in positions], error)
                continue
            again.append(_Again(run, resolved, [run.images[position] for position in positions]))
        places, _ = ordered([one.resolved for one in again])
        for place in places:
            yield from self._run(again[place], book)

    def file(self, path: Path) -> Verdict:
        """Verify an image that is not this workspace's, by what it says of itself. Nothing is stored.

        Raises:
            InputError: when it says nothing, or the weights it was made by are not those that are here.
        """
        from promptlab.images.metadata import self_description

        told = self_description(path)
        if told is None:
            raise InputError(
                "picture", str(path), problem="does not say how it was made", allowed="a picture made by PromptLab"
            )
        self._watch(VerifyStarted(images=1))
        with said_of(path.name, f"promptlab run --like {path}"):
            found = self._resolve(told.spec, told.device)
        resolved = check_weights(
            found, told.spec, model=told.model_identity, vae=told.vae_identity,
            whose=path.name, hint=f"promptlab run --like {path}",
        )  # fmt: skip
        (request,) = requests_of(resolved)
        if request.recipe_key != told.recipe_key:
            problem = "its recipe is not the one that it says it was made by: it was changed"
            return Verdict(ref=str(path), problem=problem)
        kept = read_pixels(path, formats=PHOTOS)
        (made,) = self._make([request]).values()
        changes = () if told.environment is None else _changes(told.environment, made.environment)
        self._watch(ImagesVerified(count=1))
        return Verdict(ref=str(path), verification=_compare(kept, made, changes))

    def _run(self, again: _Again, book: Notebook) -> Iterator[Verdict]:
        """Verify a run a batch at a time."""
        for batch in _batches(again):
            wanted = [image for image in batch if image in again.wanted]
            requests = requests_of_records(again.resolved, batch)
            try:
                for image, request in zip(batch, requests, strict=True):
                    _check_recipe(image, request)
                made = self._make(requests)
            except PromptLabError as error:
                yield from self._unmade(wanted, error)
                continue
            verdicts = [self._verdict(again.run, image, made[image.ref], book) for image in wanted]
            kept = {
                image.position: verdict.verification
                for image, verdict in zip(wanted, verdicts, strict=True)
                if verdict.verification is not None
            }
            book.add_verifications(again.run.id, kept, made[batch[0].ref].environment)
            self._count(len(wanted))
            yield from verdicts

    def _verdict(self, run: RunRecord, image: ImageRecord, made: ImageDone, book: Notebook) -> Verdict:
        try:
            kept = read_pixels(self._workspace.root / (image.path or ""))
        except InputError as error:
            return Verdict(ref=image.ref, run_id=run.id, problem=str(error))
        if pixel_sha256(kept) != image.pixel_sha256:
            problem = "the file is not the picture that was made: it was changed; type: promptlab doctor"
            return Verdict(ref=image.ref, run_id=run.id, problem=problem)
        before = run.environment if image.environment is None else book.environment(image.environment)
        changes = _changes(before, made.environment)
        return Verdict(ref=image.ref, run_id=run.id, verification=_compare(kept, made, changes))

    def _make(self, requests: Sequence[ImageRequest]) -> dict[str, ImageDone]:
        generation = self._engine.generate(requests, permissions=self._permissions)
        return {done.request_id: done for done in finished_images(generation, self._watch)}

    def _as_recorded(self, run: RunRecord) -> ResolvedSpec:
        if run.origin is not None and run.origin.program != "PromptLab":
            raise InputError(
                "run", run.id, problem=f"was made by {run.origin.program}, which does not say by which weights",
                hint=f"promptlab rerun {run.id} {ref_value('model', 'MODEL')}",
            )  # fmt: skip
        with said_of(f"run {run.id}", f"promptlab rerun {run.id}"):
            found = self._resolve(run.spec, run.device)
        return check_weights(
            found, run.spec, model=run.model_identity, vae=run.vae_identity,
            whose=f"run {run.id}", hint=f"promptlab rerun {run.id}",
        )  # fmt: skip

    def _resolve(self, spec: RunSpec, device: str) -> ResolvedSpec:
        """Resolve for the device where it was made, or for whichever is there: environments say so."""
        try:
            return self._engine.resolve([spec.vary(device=device)], permissions=self._permissions)[0]
        except UnknownValue as error:
            if error.field != "device":
                raise
        return self._engine.resolve([spec.vary(device=None)], permissions=self._permissions)[0]

    def _unmade(self, images: Sequence[ImageRecord], error: PromptLabError) -> Iterator[Verdict]:
        self._count(len(images))
        for image in images:
            # whole: what to type comes last
            yield Verdict(ref=image.ref, run_id=image.run_id, problem=one_line(error, limit=1500))

    def _count(self, more: int) -> None:
        self._compared += more
        self._watch(ImagesVerified(count=self._compared))


def _batches(again: _Again) -> Iterator[list[ImageRecord]]:
    """Yield the batches in which the wanted images were made, whole, in the order of their rows."""
    numbers = dict.fromkeys(image.batch for image in again.wanted)
    for number in numbers:
        if number is None:  # it is not known who its neighbours were
            yield from ([image] for image in again.wanted if image.batch is None)
            continue
        made_together = [image for image in again.run.made_here if image.batch == number]
        yield sorted(made_together, key=lambda image: image.slot or 0)


def _check_recipe(image: ImageRecord, request: ImageRequest) -> None:
    if image.recipe_key != request.recipe_key:
        raise InputError(
            "image", image.ref, problem="is recorded by another recipe than its run: a row was edited",
            hint="promptlab doctor",
        )  # fmt: skip


def _changes(before: Environment, after: Environment) -> tuple[Change, ...]:
    """Return the facts that are not what they were."""
    was: Mapping[str, object] = before.facts
    now: Mapping[str, object] = after.facts
    return tuple(
        Change(field=name, before=was.get(name), after=now.get(name))
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    )


def _compare(kept: NDArray[np.uint8], made: ImageDone, changes: tuple[Change, ...]) -> Verification:
    found = difference(kept, made.pixels)
    outcome = Outcome.DIFFERENT
    if found is not None and (found.psnr is None or found.psnr >= CLOSE):
        outcome = Outcome.EXACT if found.identical else Outcome.CLOSE
    return Verification(
        outcome=outcome,
        verified_at=datetime.now(UTC),
        environment=made.environment.hash,
        pixel_sha256=pixel_sha256(made.pixels),
        differing_pixels=None if found is None else found.differing_pixels,
        greatest_difference=None if found is None else found.greatest,
        mean_difference=None if found is None else found.mean,
        psnr=None if found is None else found.psnr,
        changes=changes,
    )
