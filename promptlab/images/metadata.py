"""Every picture describes itself: two text chunks, one for us and lossless, one for everyone else.

``promptlab`` is JSON that :func:`self_description` gives back equal to what was made: enough to make the picture again,
to put its row back into an empty database, and to find its parent. ``parameters`` is AUTOMATIC1111's format
(:mod:`promptlab.images.infotext`). A third, ``prompt``, is never written: to other tools it means ComfyUI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptlab import __version__
from promptlab.errors import InputError
from promptlab.images.infotext import infotext
from promptlab.images.png import read_text
from promptlab.plan import ImageTask, ResolvedSpec
from promptlab.records import RunRecord, SweepRecord
from promptlab.spec import RunSpec

__all__ = [
    "CHUNK",
    "SelfDescription",
    "describe",
    "describe_grid",
    "describe_sweep",
    "grid_run_uid",
    "self_description",
]

CHUNK: Final = "promptlab"
"""The keyword of our own chunk."""

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfDescription:
    """What a picture says about itself.

    Args:
        version: of the PromptLab that made it.
        run_uid, run_id, position, experiment: whose picture it is; the uid is unique anywhere, the number in its
            workspace.
        recipe_key: the hash of everything that decides the pixels, the environment apart.
        environment_hash: of the environment, whose facts the database holds.
        model_identity, vae_identity: ``commit:<sha>`` or ``sha256:<hex>`` of the weights.
        device: the device used, such as ``cuda:0``.
        parent: the image it was varied from, as it was given to :func:`describe`.
        spec: of this image alone: one variant, one seed, the batch size of its run.
    """

    version: str
    run_uid: str
    run_id: int
    position: int
    experiment: str
    recipe_key: str
    environment_hash: str
    model_identity: str
    vae_identity: str | None
    device: str
    parent: str | None
    spec: RunSpec

    def to_json(self) -> str:
        """ASCII, so that the chunk is the same ``tEXt`` for every prompt; :meth:`from_json` gives back an equal one."""
        return json.dumps(
            {
                "kind": "image",
                "format": _FORMAT,
                "version": self.version,
                "run": {"uid": self.run_uid, "id": self.run_id, "experiment": self.experiment},
                "position": self.position,
                "recipe_key": self.recipe_key,
                "environment": self.environment_hash,
                "model_identity": self.model_identity,
                "vae_identity": self.vae_identity,
                "device": self.device,
                "parent": self.parent,
                "spec": self.spec.to_dict(),
            }
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> SelfDescription:
        """The description that :meth:`to_json` wrote.

        Raises:
            InputError: when the spec in it is none.
            LookupError, TypeError, ValueError: when something is missing or of the wrong kind.
        """
        run = plain["run"]
        found = cls(
            version=_text(plain["version"]),
            run_uid=_text(run["uid"]),
            run_id=_number(run["id"]),
            position=_number(plain["position"]),
            experiment=_text(run["experiment"]),
            recipe_key=_text(plain["recipe_key"]),
            environment_hash=_text(plain["environment"]),
            model_identity=_text(plain["model_identity"]),
            vae_identity=None if plain["vae_identity"] is None else _text(plain["vae_identity"]),
            device=_text(plain["device"]),
            parent=None if plain["parent"] is None else _text(plain["parent"]),
            spec=RunSpec.from_dict(plain["spec"]),
        )
        if found.spec.image_count != 1:
            raise ValueError(f"the spec of one picture asks for {found.spec.image_count}")
        return found


def describe(
    resolved: ResolvedSpec,
    task: ImageTask,
    *,
    run_uid: str,
    run_id: int,
    experiment: str,
    environment_hash: str,
    parent: str | None,
    size: tuple[int, int] | None = None,
) -> dict[str, str]:
    """The two text chunks of one picture, for :func:`promptlab.images.png.write_png`.

    Args:
        task: one of those that :func:`promptlab.plan.tasks_of` makes of ``resolved``.
        parent: the image it was varied from: its recipe key, or however it is to be found again.
        size: width and height of the picture, for a call that leaves them to the model.
    """
    own = SelfDescription(
        version=__version__,
        run_uid=run_uid,
        run_id=run_id,
        position=task.position,
        experiment=experiment,
        recipe_key=task.recipe_key,
        environment_hash=environment_hash,
        model_identity=resolved.model_identity,
        vae_identity=resolved.vae_identity,
        device=resolved.device,
        parent=parent,
        spec=resolved.spec.vary(
            variants=(resolved.spec.variants[task.variant],), seeds=(task.seed,), batch_size=task.batch_size
        ),
    )
    return {CHUNK: own.to_json(), "parameters": infotext(task, size=size)}


def self_description(path: Path) -> SelfDescription | None:
    """What the picture at ``path`` says about itself; ``None`` when another program made it, or when it is a grid.

    Raises:
        NotFound: when there is no such file.
        InputError: when it is no PNG, a damaged one, one of a newer PromptLab, or its chunk was tampered with.
    """
    plain = _chunk_of(path)
    if plain is None or plain.get("kind") in ("grid", "sweep"):
        return None
    try:
        return SelfDescription.from_json(plain)
    except (InputError, LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def describe_grid(run: RunRecord) -> dict[str, str]:
    """The text chunk of a grid: whose it is. It has no recipe of its own; its pictures do."""
    whose = {"uid": run.uid, "id": run.id, "experiment": run.experiment}
    return {CHUNK: json.dumps({"kind": "grid", "format": _FORMAT, "version": __version__, "run": whose})}


def describe_sweep(sweep: SweepRecord, *, page: int) -> dict[str, str]:
    """The text chunk of page ``page`` (from 1) of a sweep's overview: whose it is."""
    whose = {"uid": sweep.uid, "id": sweep.id, "experiment": sweep.experiment, "page": page}
    return {CHUNK: json.dumps({"kind": "sweep", "format": _FORMAT, "version": __version__, "sweep": whose})}


def grid_run_uid(path: Path) -> str | None:
    """The uid of the run whose grid this file is; ``None`` when it is no grid of ours.

    Raises:
        NotFound, InputError: as :func:`self_description` does.
    """
    plain = _chunk_of(path)
    if plain is None or plain.get("kind") != "grid":
        return None
    try:
        return _text(plain["run"]["uid"])
    except (LookupError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _chunk_of(path: Path) -> dict[str, Any] | None:
    """Our chunk of the PNG at ``path``, parsed; ``None`` when it has none."""
    written = read_text(path).get(CHUNK)
    if written is None:
        return None
    try:
        plain: dict[str, Any] = json.loads(written)
        version = _number(plain["format"])  # a list or a number in place of the object has none
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if version > _FORMAT:
        raise InputError(
            "picture", str(path), problem=f"was made by a newer PromptLab ({plain.get('version')}) than this one",
            hint="pip install --upgrade promptlab",
        )  # fmt: skip
    return plain


def _damaged(path: Path, why: str) -> InputError:
    return InputError("picture", str(path), problem=f"holds a {CHUNK} chunk that cannot be read ({why})")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value
