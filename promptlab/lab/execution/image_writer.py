"""Saves pictures while the next ones are being made, and is the only writer of the images of runs.

::

    engine ──Picture──▶ add() ──▶ savers (PNG: temp file, rename) ──▶ writer (rows, one transaction a batch and run)
                          │ waits while too many pictures are unsaved

Encoding and hashing release the interpreter, so the savers cost the engine next to nothing. At most :data:`UNSAVED`
pictures wait, so that memory stays bounded when the disk is slower than the device. A row is written only after its
file: at any moment, what the notebook calls made is a whole PNG.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from promptlab.engine import GeneratedImage
from promptlab.images.png import pixel_sha256, write_png
from promptlab.plan import ImageRequest
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.store.notebook import Notebook

__all__ = ["UNSAVED", "ImageWriter", "RunSink"]

UNSAVED: Final = 32
"""Pictures that may wait for a saver before :meth:`ImageWriter.add` blocks."""
_SAVERS: Final = 2


class RunSink:
    """Where the pictures of one run are put.

    A run counts its batches for itself: those of its pictures that came out of the engine together are one.

    Args:
        run: whose.
        describe: gives the text chunks of a PNG, by its task and its record.
        environment: the one the pictures are made in, where it is not the run's own.
    """

    def __init__(
        self,
        run: RunRecord,
        *,
        describe: Callable[[ImageRequest, ImageRecord], dict[str, str]],
        environment: Environment | None = None,
    ) -> None:
        self.run, self.describe, self.environment = run, describe, environment
        self.writing: list[Future[None]] = []
        self._number: tuple[int, int] | None = None
        self._batch = max((image.batch for image in run.made_here if image.batch is not None), default=-1)

    def batch(self, number: tuple[int, int]) -> int:
        """The run's own number of the batch that the engine calls ``number``, in which of its calls."""
        if number != self._number:
            self._number, self._batch = number, self._batch + 1
        return self._batch


class ImageWriter:
    """A context in which pictures are saved; leaving it waits until every row is written.

    Raises:
        StoreError: from :meth:`add` or on leaving, when a file or a row could not be written.
    """

    def __init__(self, workspace: Workspace, notebook: Notebook) -> None:
        self._workspace, self._notebook = workspace, notebook
        self._room = threading.BoundedSemaphore(UNSAVED)
        self._savers = ThreadPoolExecutor(_SAVERS, thread_name_prefix="save")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pass = 0
        self._batch: tuple[int, int] | None = None
        self._saving: dict[RunSink, list[Future[ImageRecord]]] = {}
        self._writing: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hand_over()
        self._savers.shutdown()
        self._writer.shutdown()
        if kind is None:
            self._raise_failures()

    def add(self, picture: GeneratedImage, shelf: RunSink) -> None:
        """Take a picture: it is saved behind the caller's back, its row written with those of its batch."""
        self._raise_failures(done_only=True)
        batch = self._pass, picture.batch
        if batch != self._batch:
            self.hand_over()
            self._batch = batch
        self._room.acquire()
        saving = self._savers.submit(self._save, picture, shelf, shelf.batch(batch))
        saving.add_done_callback(lambda _: self._room.release())
        self._saving.setdefault(shelf, []).append(saving)

    def next_pass(self) -> None:
        """The engine counts its batches from 0 again."""
        self.hand_over()
        self._pass += 1

    def hand_over(self) -> None:
        """Have the rows written of all that was added; a shelf's ``writing`` says when its own are."""
        for shelf, saving in self._saving.items():
            writing = self._writer.submit(self._write, shelf, saving)
            shelf.writing.append(writing)
            self._writing.append(writing)
        self._saving = {}

    def settle(self) -> None:
        """Wait until every row is written.

        Raises:
            StoreError: when one could not be.
        """
        self.hand_over()
        self._raise_failures()

    def _save(self, picture: GeneratedImage, shelf: RunSink, batch: int) -> ImageRecord:
        task, run = picture.task, shelf.run
        path = self._workspace.run_folder(run.id) / self._workspace.image_name(task.variant, task.seed)
        height, width, _ = picture.pixels.shape
        image = ImageRecord(
            run_id=run.id,
            position=task.position,
            variant=task.variant,
            seed=task.seed,
            status=ImageStatus.MADE,
            recipe_key=task.recipe_key,
            path=self._workspace.relative(path),
            width=width,
            height=height,
            pixel_sha256=pixel_sha256(picture.pixels),
            batch=batch,
            slot=picture.slot,
            seconds=picture.seconds,
            peak_memory=picture.peak_memory,
            made_at=datetime.now(UTC),
            flag=picture.flag,
            decoded_in=picture.decoded_in,
            batch_size=None if task.batch_size == run.spec.batch_size else task.batch_size,
        )
        write_png(path, picture.pixels, shelf.describe(task, image))
        return image

    def _write(self, shelf: RunSink, saving: list[Future[ImageRecord]]) -> None:
        """One transaction for what could be saved; then the first failure, if there was one."""
        for future in saving:
            future.exception()  # waits
        saved = [future.result() for future in saving if future.exception() is None]
        if saved:
            self._notebook.add_images(shelf.run.id, saved, environment=shelf.environment)
        for future in saving:
            future.result()

    def _raise_failures(self, *, done_only: bool = False) -> None:
        for future in self._writing:
            if future.done() or not done_only:
                future.result()
        self._writing = [future for future in self._writing if not future.done()]
