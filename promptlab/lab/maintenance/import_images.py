"""Imports image files: PromptLab's own into their runs, those of other programs as runs of one image.

An image of PromptLab names its run; with the grid beside it, the run's record is restored word for word, and without
it as far as the images' metadata goes. So a lost database is rebuilt from the folder of images. Other programs' images
are read as data; settings that have no equivalent here are listed and kept with the run.

Invariant: no image file is changed, moved or deleted, and no row is lost.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from promptlab.errors import InputError, StoreError, one_line
from promptlab.expand.labels import labelled
from promptlab.images.foreign import ForeignMetadata
from promptlab.images.foreign.texts import texts_of
from promptlab.images.grid_metadata import GridMetadata
from promptlab.images.metadata import CHUNK, ImageMetadata
from promptlab.images.png import pixel_sha256, read_pixels, write_png
from promptlab.lab.execution.file_locks import make_folder
from promptlab.lab.maintenance.claims import Claim
from promptlab.lab.maintenance.rebuild import rebuild_run
from promptlab.lab.maintenance.scan import ImportResult, scan_files
from promptlab.records import (
    Environment,
    ImageRecord,
    ImageStatus,
    Origin,
    RunRecord,
    RunStatus,
    SweepRecord,
    VariantRecord,
)
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

__all__ = ["Importer"]

Doubted = list[tuple[Claim, str]]
"""Files that are not the images that they say they are, each with the reason."""


class Importer:
    """Imports image files into one workspace.

    Args:
        notebook: opens the one to write to, once there is something to write.
        workspace: where images are copied or hard-linked to.
    """

    def __init__(self, notebook: Callable[[], Notebook], workspace: Workspace) -> None:
        self._open, self._workspace = notebook, workspace

    @cached_property
    def _notebook(self) -> Notebook:
        return self._open()

    def import_files(self, files: Iterable[Path], *, experiment: str) -> Iterator[ImportResult]:
        """Read all ``files``, then write what they describe, oldest run first.

        Args:
            experiment: for images of other programs; PromptLab's own name theirs.
        """
        found = scan_files(files)
        oldest_first = sorted(found.pictures.keys() | found.runs.keys(), key=lambda uid: (found.number(uid), uid))
        for uid in oldest_first:
            claims: list[Claim] = []
            for metadata, path in found.pictures.get(uid, ()):
                try:
                    claims.append(Claim.read(metadata, path))
                except InputError as error:
                    found.silent.append(ImportResult(problem=error.problem, file=str(path)))
            try:
                result, doubted = self._run(found.runs.get(uid), claims)
            except (InputError, StoreError) as error:
                found.silent += [ImportResult(problem=str(error), file=str(claim.path)) for claim in claims[:1]]
                continue
            found.foreign += [(claim.as_foreign(why), claim.path) for claim, why in doubted]
            if result is not None:
                yield result
        for grid in found.sweeps.values():
            with suppress(StoreError):  # its runs are here
                self._sweep(grid)
        for picture, path in found.foreign:
            try:
                yield self._foreign(picture, path, experiment)
            except (InputError, StoreError) as error:
                found.silent.append(ImportResult(problem=str(error), file=str(path)))
        yield from found.silent

    def _run(self, grid: GridMetadata | None, claims: Sequence[Claim]) -> tuple[ImportResult | None, Doubted]:
        """Write the run anew that the files are of, or restore it; and tell which files are not what they say."""
        doubted = [(claim, why) for claim in claims if (why := claim.doubt()) is not None]
        sound = [claim for claim in claims if all(claim is not one for one, _ in doubted)]
        if grid is not None and isinstance(grid.record, RunRecord):
            uids, record = dict(grid.uids), grid.record
        elif sound:
            record, uids = rebuild_run([claim.metadata for claim in sound])
        else:
            return None, doubted
        here = self._notebook.run_by_uid(record.uid)
        run = here
        if run is None:
            images = tuple(_unplaced(image) for image in record.images)
            run = self._notebook.restore_run(dataclasses.replace(record, images=images), uids)
        taken, others = self._restore(run, sound)
        doubted += others
        if here is not None and claims and len(doubted) == len(claims):
            return None, doubted
        return dataclasses.replace(taken, new=here is None), doubted

    def _restore(self, run: RunRecord, claims: Sequence[Claim]) -> tuple[ImportResult, Doubted]:
        """Restore edited prompts and missing images of a run that exists here."""
        believed, doubted = _believed(run, claims)
        words = 0
        for position, claim in believed.items():
            image, said = run.images[position], claim.metadata.spec.variants[0]
            here = run.spec.variants[image.variant]
            now = (said.prompt, said.negative_prompt, claim.metadata.recipe_key)
            if (here.prompt, here.negative_prompt, image.recipe_key) != now:
                self._notebook.restore_words(run.id, image.position, said, claim.metadata.recipe_key)
                words += 1
        gone = [
            image.position
            for image in self._notebook.run(run.id).made_here
            if not (self._workspace.root / (image.path or "")).is_file()
        ]
        if gone:
            self._notebook.owe_images(run.id, gone)
        taken = self._placed(self._notebook.run(run.id), believed)
        return dataclasses.replace(taken, files=taken.files + words, known=max(0, taken.known - words)), doubted

    def _placed(self, run: RunRecord, believed: Mapping[int, Claim]) -> ImportResult:
        """Copy or link every image of ``run`` to its place, and mark its row MADE."""
        known, made = 0, []
        for position, claim in believed.items():
            image = run.images[position]
            known += image.status is ImageStatus.MADE
            if image.status is ImageStatus.MADE or claim.pixels is None:
                continue  # a JPEG has other pixels: its recipe is taken, the picture can be made again
            made.append(self._made(image, claim.metadata, claim.path))
        if made:
            self._notebook.add_images(run.id, made)
        return ImportResult(run=self._notebook.run(run.id), files=len(made), known=known)

    def _made(self, image: ImageRecord, metadata: ImageMetadata, path: Path) -> ImageRecord:
        home = self._workspace.run_folder(image.run_id) / self._workspace.image_name(image.variant, image.seed)
        _put(path, home, link=self._workspace.root in path.resolve().parents)
        pixels = read_pixels(home)
        height, width, _ = pixels.shape
        return dataclasses.replace(
            image,
            status=ImageStatus.MADE,
            path=self._workspace.relative(home),
            width=width,
            height=height,
            pixel_sha256=pixel_sha256(pixels),
            batch=metadata.batch,
            slot=metadata.slot,
            seconds=metadata.seconds,
            peak_memory=metadata.peak_memory,
            made_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
            flag=metadata.flag,
            decoded_in=metadata.decoded_in,
        )

    def _sweep(self, grid: GridMetadata) -> None:
        record = grid.record
        if isinstance(record, SweepRecord) and self._notebook.sweep_by_uid(record.uid) is None:
            self._notebook.restore_sweep(record, grid.uids)

    def _foreign(self, picture: ForeignMetadata, path: Path, experiment: str) -> ImportResult:
        pixels = read_pixels(path, formats=("PNG", "JPEG", "WEBP"))
        digest = pixel_sha256(pixels)
        texts = texts_of(path)
        said = hashlib.sha256(repr(sorted(texts.items())).encode("utf-8", "replace")).hexdigest()
        uid = hashlib.sha256(f"{picture.program}:{digest}:{said}".encode()).hexdigest()[:32]
        here = self._notebook.run_by_uid(uid) or self._before_words_counted(picture, digest)
        if here is not None and not here.owed:
            return ImportResult(run=here, known=1, file=str(path))
        height, width, _ = pixels.shape
        spec = picture.spec.vary(variants=labelled(picture.spec.variants))
        when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        image = ImageRecord(
            run_id=0, position=0, variant=0, seed=spec.seeds[0], status=ImageStatus.OWED,
            recipe_key=hashlib.sha256(f"foreign:{digest}:{said}".encode()).hexdigest(),
        )  # fmt: skip
        record = RunRecord(
            id=0, uid=uid, experiment=experiment, name=one_line(path.name, limit=60), note=None,
            status=RunStatus.FINISHED, spec=spec, device="unknown", model_identity="unknown", vae_identity=None,
            created_at=when, ended_at=when, variants=(VariantRecord(position=0, variant=spec.variants[0]),),
            images=(image,), environment=Environment(facts={"made_by": picture.program}),
            origin=Origin(program=picture.program, file=path.name, lost=picture.lost),
        )  # fmt: skip
        run = here or self._notebook.restore_run(record, {})  # of an import that was stopped the row is there
        home = self._workspace.run_folder(run.id) / self._workspace.image_name(0, spec.seeds[0])
        make_folder(home.parent)
        if path.suffix.lower() == ".png" and CHUNK not in texts:
            _put(path, home, link=self._workspace.root in path.resolve().parents)
        else:
            kept = {name: text for name, text in texts.items() if "\0" not in text and name != CHUNK}
            write_png(home, pixels, kept)
        made = dataclasses.replace(
            run.images[0], status=ImageStatus.MADE, path=self._workspace.relative(home), width=width, height=height,
            pixel_sha256=digest, made_at=when,
        )  # fmt: skip
        self._notebook.add_images(run.id, [made])
        return ImportResult(run=self._notebook.run(run.id), new=True, files=1, file=str(path))

    def _before_words_counted(self, picture: ForeignMetadata, digest: str) -> RunRecord | None:
        """Return the run that a version took this picture in as which knew pictures by their pixels alone."""
        uid = hashlib.sha256(f"{picture.program}:{digest}".encode()).hexdigest()[:32]
        here = self._notebook.run_by_uid(uid)
        if here is None:
            return None
        (then,), (now,) = here.spec.variants, picture.spec.variants
        words = (then.prompt, then.negative_prompt) == (now.prompt, now.negative_prompt)
        return here if words and here.spec.seeds == picture.spec.seeds else None


def _believed(run: RunRecord, claims: Sequence[Claim]) -> tuple[dict[int, Claim], Doubted]:
    """Return the files that are images of ``run``, one a place, PNGs first; and those that are not."""
    believed: dict[int, Claim] = {}
    doubted: Doubted = []
    for claim in sorted(claims, key=lambda one: one.pixels is None):
        row, why = claim.row_in(run), claim.doubt_beside(run)
        if row is not None and why is None and claim.pixels is not None:
            first = believed.setdefault(row.position, claim)
            why = None if first.pixels == claim.pixels else "another file is that picture"
        elif row is not None and why is None:
            believed.setdefault(row.position, claim)
        if why is not None:
            doubted.append((claim, why))
    return believed, doubted


def _unplaced(image: ImageRecord) -> ImageRecord:
    """Return the image as it can be stored before its file is in place: owed, unless it failed.

    No path is believed. The hash of its pixels stays, for the file to be held against.
    """
    if image.linked is not None:
        return dataclasses.replace(image, path=None)
    status = ImageStatus.OWED if image.status is ImageStatus.MADE else image.status
    return dataclasses.replace(image, path=None, status=status)


def _put(path: Path, home: Path, *, link: bool) -> None:
    """Copy or hard-link a PNG to its place, unless it is there.

    Args:
        link: whether both may be one file; a file outside of the workspace may be changed by others.
    """
    make_folder(home.parent)
    if home.exists() and home.samefile(path):
        return
    beside = home.with_name(f".{home.name}.{uuid.uuid4().hex}.tmp")
    try:
        if link:
            with suppress(OSError):
                os.link(path, beside)
        if not beside.exists():
            shutil.copyfile(path, beside)
        beside.replace(home)
    except OSError as error:
        raise StoreError(f"{home} could not be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
