"""Saves pictures while the next ones are being made, and is the only writer of a run's images.

::

    engine ──Picture──▶ add() ──▶ savers (PNG: temp file, rename) ──▶ writer (rows, one transaction a batch)
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
from typing import Final, Self

from promptlab.engine import Picture
from promptlab.images.png import pixel_sha256, write_png
from promptlab.plan import ImageTask
from promptlab.records import Environment, ImageRecord, ImageStatus, RunRecord
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

__all__ = ["UNSAVED", "Recorder"]

UNSAVED: Final = 32
"""Pictures that may wait for a saver before :meth:`Recorder.add` blocks."""
_SAVERS: Final = 2


class Recorder:
    """A context in which pictures of ``run`` are saved; leaving it waits until every row is written.

    Args:
        environment: the one the pictures are made in, where it is not the run's own.
        describe: gives the text chunks of a PNG, by its task and its record.

    Raises:
        StoreError: from :meth:`add` or on leaving, when a file or a row could not be written.
    """

    def __init__(
        self,
        run: RunRecord,
        workspace: Workspace,
        notebook: Notebook,
        *,
        describe: Callable[[ImageTask, ImageRecord], dict[str, str]],
        environment: Environment | None = None,
    ) -> None:
        self._run, self._workspace, self._notebook, self._describe = run, workspace, notebook, describe
        self._room = threading.BoundedSemaphore(UNSAVED)
        self._savers = ThreadPoolExecutor(_SAVERS, thread_name_prefix="save")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._environment = environment
        self._batch: int | None = None
        self._first_batch = 1 + max((image.batch for image in run.made_here if image.batch is not None), default=-1)
        self._last_batch = self._first_batch - 1
        self._saving: list[Future[ImageRecord]] = []
        self._writing: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._workspace.run_folder(self._run.id).mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hand_over()
        self._savers.shutdown()
        self._writer.shutdown()
        if kind is None:
            self._raise_failures()

    def add(self, picture: Picture) -> None:
        """Take a picture: it is saved behind the caller's back, its row written with those of its batch."""
        self._raise_failures(done_only=True)
        if picture.batch != self._batch:
            self._hand_over()
            self._batch = picture.batch
        self._last_batch = self._first_batch + picture.batch
        self._room.acquire()
        saving = self._savers.submit(self._save, picture, self._last_batch)
        saving.add_done_callback(lambda _: self._room.release())
        self._saving.append(saving)

    def next_pass(self) -> None:
        """The engine counts its batches from 0 again; the run goes on counting."""
        self._hand_over()
        self._batch = None
        self._first_batch = self._last_batch + 1

    def _save(self, picture: Picture, batch: int) -> ImageRecord:
        task = picture.task
        path = self._workspace.run_folder(self._run.id) / self._workspace.image_name(task.variant, task.seed)
        height, width, _ = picture.pixels.shape
        image = ImageRecord(
            run_id=self._run.id,
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
            batch_size=None if task.batch_size == self._run.spec.batch_size else task.batch_size,
        )
        write_png(path, picture.pixels, self._describe(task, image))
        return image

    def _hand_over(self) -> None:
        if self._saving:
            self._writing.append(self._writer.submit(self._write, self._saving))
            self._saving = []

    def _write(self, saving: list[Future[ImageRecord]]) -> None:
        """One transaction for what could be saved; then the first failure, if there was one."""
        for future in saving:
            future.exception()  # waits
        saved = [future.result() for future in saving if future.exception() is None]
        if saved:
            self._notebook.add_images(self._run.id, saved, environment=self._environment)
        for future in saving:
            future.result()

    def _raise_failures(self, *, done_only: bool = False) -> None:
        for future in self._writing:
            if future.done() or not done_only:
                future.result()
