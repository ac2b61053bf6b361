"""Writes images while the next ones are being made, and is the only writer of the images of runs.

::

    engine ──ImageDone──▶ add() ──▶ savers (PNG: temp file, rename) ──▶ writer (rows, one transaction a batch and run)
                           │ waits while too many images are unsaved

Encoding and hashing release the interpreter, so the savers cost the engine next to nothing. At most :data:`UNSAVED`
images wait, so that memory stays bounded when the disk is slower than the device. A row is written only after its
file: at any moment, what the notebook calls made is a whole PNG.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from promptlab.engine import ImageDone
from promptlab.images.png import pixel_sha256, write_png
from promptlab.plan import ImageRequest
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.store.notebook import Notebook

__all__ = ["UNSAVED", "ImageWriter", "RunSink"]

UNSAVED: Final = 32
"""Images that may wait for a saver before :meth:`ImageWriter.add` blocks."""
_SAVERS: Final = 3
"""Two that encode, and one that waits for the disk: a file's ``fsync`` takes as long as a third of its encoding."""


_Saved = tuple[ImageRecord, Environment]


class RunSink:
    """Says where the images of one run are put.

    A run counts its batches for itself: those of its images that came out of the engine together are one, though those
    of another worker may come between.

    Args:
        run: whose.
        describe: gives the text chunks of a PNG, by its request, its record, and what it was made in.
    """

    def __init__(
        self,
        run: RunRecord,
        *,
        describe: Callable[[ImageRequest, ImageRecord, Environment], dict[str, str]],
    ) -> None:
        self.run, self.describe = run, describe
        self.writing: list[Future[None]] = []
        self._batches: dict[tuple[int, int], int] = {}
        self._next = 1 + max((image.batch for image in run.made_here if image.batch is not None), default=-1)

    def batch(self, number: tuple[int, int]) -> int:
        """Return the run's own number of a batch: ``number`` is the generation's and the engine's."""
        return self._batches.setdefault(number, self._next + len(self._batches))


class ImageWriter:
    """Saves images for as long as its context lasts; leaving it waits until every row is written.

    Args:
        stored: told of each image once its row is written, by the thread that wrote it.

    Raises:
        StoreError: from :meth:`add` or on leaving, when a file or a row could not be written.
    """

    def __init__(
        self, workspace: Workspace, notebook: Notebook, stored: Callable[[ImageRecord], None] = lambda _: None
    ) -> None:
        self._workspace, self._notebook, self._stored = workspace, notebook, stored
        self._room = threading.BoundedSemaphore(UNSAVED)
        self._savers = ThreadPoolExecutor(_SAVERS, thread_name_prefix="save")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._generation = 0
        self._batch: tuple[int, int] | None = None
        self._saving: dict[RunSink, list[Future[_Saved]]] = {}
        self._queued: dict[RunSink, list[Future[_Saved]]] = {}
        """Holds what the writer takes next, of each run all at once: workers yield images of many batches by turns."""
        self._queueing = threading.Lock()
        self._writing: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        self._savers.shutdown()
        self._writer.shutdown()
        if kind is None:
            self._raise_failures()

    def add(self, done: ImageDone, request: ImageRequest, position: int, sink: RunSink) -> None:
        """Take an image: it is saved behind the caller's back, its row written with those of its batch.

        Args:
            done: the image.
            request: what it was made from.
            position: its place in the run of ``sink``.
        """
        self._raise_failures(done_only=True)
        batch = self._generation, done.batch
        if batch != self._batch:
            self.flush()
            self._batch = batch
        self._room.acquire()
        saving = self._savers.submit(self._save, done, request, position, sink, sink.batch(batch))
        saving.add_done_callback(lambda _: self._room.release())
        self._saving.setdefault(sink, []).append(saving)

    def next_generation(self) -> None:
        """Take note that the engine counts its batches from 0 again."""
        self.flush()
        self._generation += 1

    def flush(self) -> None:
        """Write the rows of all that was added, soon; a sink's ``writing`` says when its own are there."""
        for sink, saving in self._saving.items():
            with self._queueing:
                self._queued.setdefault(sink, []).extend(saving)
            writing = self._writer.submit(self._write, sink)
            sink.writing.append(writing)
            self._writing.append(writing)
        self._saving = {}

    def wait(self) -> None:
        """Wait until every row is written.

        Raises:
            StoreError: when one could not be.
        """
        self.flush()
        self._raise_failures()

    def _save(self, done: ImageDone, request: ImageRequest, position: int, sink: RunSink, batch: int) -> _Saved:
        run, owed = sink.run, sink.run.images[position]
        path = self._workspace.run_folder(run.id) / self._workspace.image_name(owed.variant, request.seed)
        height, width, _ = done.pixels.shape
        image = ImageRecord(
            run_id=run.id,
            position=position,
            variant=owed.variant,
            seed=request.seed,
            status=ImageStatus.MADE,
            recipe_key=request.recipe_key,
            path=self._workspace.relative(path),
            width=width,
            height=height,
            pixel_sha256=pixel_sha256(done.pixels),
            batch=batch,
            slot=done.row,
            seconds=done.seconds,
            peak_memory=done.peak_memory,
            made_at=datetime.now(UTC),
            flag=done.flag,
            decoded_in=done.decoded_in,
            batch_size=None if request.batch_size == run.spec.batch_size else request.batch_size,
        )
        write_png(path, done.pixels, sink.describe(request, image, done.environment))
        return image, done.environment

    def _write(self, sink: RunSink) -> None:
        """Write in one transaction what could be saved; then raise the first failure, if there was one."""
        with self._queueing:
            saving = self._queued.pop(sink, [])
        for future in saving:
            future.exception()  # waits
        groups: dict[str, list[_Saved]] = {}
        for saved in (future.result() for future in saving if future.exception() is None):
            groups.setdefault(saved[1].hash, []).append(saved)
        for group in groups.values():
            environment = None if group[0][1] == sink.run.environment else group[0][1]
            self._notebook.add_images(sink.run.id, [image for image, _ in group], environment=environment)
            for image, _ in group:
                self._stored(image)
        for future in saving:
            future.result()

    def _raise_failures(self, *, done_only: bool = False) -> None:
        for future in self._writing:
            if future.done() or not done_only:
                future.result()
        self._writing = [future for future in self._writing if not future.done()]
