"""Finds models and VAEs by name: where they lie, and which content exactly. No weight is loaded.

A name is tried in this order: a bundled model, a folder, a single ``.safetensors`` file, a Hub id. What the Hub cache
holds is used as it is, without a look at the network; a commit pins it for good.

Invariant: a :class:`ModelSource` tells its content apart. ``commit:<sha>`` for the Hub, ``sha256:<hex>`` over names and
contents of everything that is read for what lies here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from promptlab.engine.sources import hub
from promptlab.engine.sources.adapters import AdapterFile, AdapterKind, find_adapter
from promptlab.engine.sources.configuration import DENOISERS, read_configuration
from promptlab.engine.sources.files import (
    ALLOW_PICKLE,
    INDEX,
    MODULAR_INDEX,
    PICKLES,
    FileSet,
    check_parts,
    choose_files,
    content_identity,
    file_identity,
    hash_ahead,
    listing,
    read_json,
)
from promptlab.engine.sources.modular import modular_model
from promptlab.engine.sources.prior import CARD, lacks_prior, read_prior_id
from promptlab.errors import InputError, NotFound, PromptLabError, ref, ref_value
from promptlab.models import bundled, bundled_models, bundled_vaes
from promptlab.specs import GGUF, PipelineSpec

__all__ = ["ALLOWED_MODELS", "ALLOWED_VAES", "ModelSource", "SourceFinder", "find_model", "find_vae"]

Kind = Literal["bundled", "folder", "file", "hub"]
_NOWHERE: Final = Path(os.devnull) / "nowhere"
ALLOWED_MODELS: Final = "a Hub id, a folder, a .safetensors file, or a bundled model"
ALLOWED_VAES: Final = "a Hub id, a folder or a .safetensors file with an autoencoder, or a bundled one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Represents something loadable.

    Args:
        name: as a spec holds it; local paths are absolute, so that a rerun from another folder finds them.
        config: where a single file's configuration was said to be, as a spec holds it; ``identity`` tells its content.
        kind: where it comes from.
        folder: the folder that holds the configurations: the model's own, or the cached snapshot of the Hub.
        identity: ``commit:<sha>`` or ``sha256:<hex>``.
        revision: the commit, on the Hub.
        variant: of the weights.
        file: the single file, when it is one.
        external: library and class of parts that a single file lacks and that lie in ``folder``, by name.
        denoiser: name of the only part that a single file has, where its own class reads it.
        beside: single files that some of the external parts are in, by name.
        absent: weights that are still to be downloaded.
        pickled: whether some of the weights are pickles, which were allowed.
        prior: another model that this one is made of; ``identity`` tells the content of both.
        gguf: a file with the denoiser's weights; ``identity`` tells the content of both.
    """

    name: str
    kind: Kind
    folder: Path
    identity: str
    revision: str | None = None
    variant: str | None = None
    file: Path | None = None
    config: str | None = None
    external: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    denoiser: str | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    pickled: bool = False
    prior: ModelSource | None = None
    gguf: Path | None = None


class SourceFinder:
    """Finds models and VAEs, and remembers the models until told to :meth:`forget`.

    Args:
        allow_pickle: whether pickled weights are taken, where there are no others.
    """

    def __init__(self, *, allow_pickle: bool = False) -> None:
        self._allow_pickle = allow_pickle
        self._model = lru_cache(maxsize=16)(find_model)
        self._adapter = lru_cache(maxsize=64)(find_adapter)

    def model(
        self,
        name: str,
        revision: str | None,
        variant: str | None,
        config: str | None = None,
        *,
        without: tuple[str, ...] = (),
    ) -> ModelSource:
        """See :func:`find_model`."""
        return self._model(name, revision, variant, config, allow_pickle=self._allow_pickle, without=without)

    def model_of(self, pipeline: PipelineSpec) -> ModelSource:
        """Find the model of ``pipeline``, without the weights that a GGUF takes the place of."""
        replaced = DENOISERS if (pipeline.quantization or "").startswith(GGUF) else ()
        return self.model(pipeline.model, pipeline.revision, pipeline.variant, pipeline.config, without=replaced)

    def vae(self, name: str) -> ModelSource:
        """See :func:`find_vae`."""
        return find_vae(name, allow_pickle=self._allow_pickle)

    def adapter(self, name: str, kind: AdapterKind) -> AdapterFile:
        """See :func:`promptlab.engine.sources.adapters.find_adapter`."""
        return self._adapter(name, kind, allow_pickle=self._allow_pickle)

    def hash_ahead(self, name: str, variant: str | None) -> None:
        """Begin to hash the weights of a model that lies here, while whoever asks for it has to import first.

        Says nothing about what is wrong with it: :meth:`model` will.
        """
        with suppress(PromptLabError, OSError):
            path = bundled(name) or _path(name)
            if path.is_file():
                hash_ahead([path])
            elif (path / INDEX).is_file():
                index = read_json(path / INDEX)
                files = choose_files(name, listing(path), index, variant, allow_pickle=self._allow_pickle)
                hash_ahead(path / file for file in files.weights)

    def forget(self) -> None:
        """Forget what was found: a folder may have changed since it was last looked at."""
        self._adapter.cache_clear()
        self._model.cache_clear()


def find_model(
    name: str,
    revision: str | None = None,
    variant: str | None = None,
    config: str | None = None,
    *,
    allow_pickle: bool = False,
    without: tuple[str, ...] = (),
) -> ModelSource:
    """Find the model called ``name``. Downloads at most its configurations.

    Args:
        config: a folder or Hub id with the configuration of a single file; ``None`` tells it from the tensors.
        without: parts whose weights are not downloaded from the Hub, because others take their place.

    Raises:
        NotFound: when nothing has that name.
        InputError: when it is no diffusers model, has only pickled weights and may not, or needs a network that is not
            there.
    """
    home, path = bundled(name), _path(name)
    is_bundled = home is not None and (home / INDEX).is_file()
    if path.is_file() and not is_bundled:
        return _single_file(path, revision, config, allow_pickle=allow_pickle)
    if config is not None and (is_bundled or path.is_dir() or hub.is_id(name)):
        raise InputError(
            "config", config, problem=f"means nothing for {name}, which has a configuration of its own",
            allowed="with a model in a single .safetensors file", hint=f"the command without {ref('config')}",
        )  # fmt: skip
    if home is not None and is_bundled:
        return _local(name, "bundled", home, variant, revision, allow_pickle=False)
    if path.is_dir():
        return _local(_absolute(path), "folder", path, variant, revision, allow_pickle=allow_pickle)
    allowed = f"{ALLOWED_MODELS}: {', '.join(bundled_models())}"
    if not hub.is_id(name):
        raise NotFound("model", name, allowed=allowed, hint="promptlab models", names=bundled_models())
    snapshot = hub.find(name, revision, "model", allowed, variant=variant, allow_pickle=allow_pickle, without=without)
    if INDEX not in snapshot.files:
        raise (
            modular_model(name, snapshot.fetch([MODULAR_INDEX])) if MODULAR_INDEX in snapshot.files else _no_model(name)
        )
    folder = snapshot.fetch([INDEX])
    with hub.damage_in_cache(name):
        index = read_json(folder / INDEX)
    files = choose_files(name, snapshot.files, index, variant, allow_pickle=allow_pickle, without=without)
    hub.check_cached(snapshot, files)
    if lacks_prior(index) and CARD in snapshot.files:
        files = replace(files, configs=(*files.configs, CARD))
    return _with_prior(_from_hub(name, snapshot, files), index, allow_pickle=allow_pickle)


def find_vae(name: str, *, allow_pickle: bool = False) -> ModelSource:
    """Find the VAE called ``name``: what :func:`find_model` is for models, for one autoencoder alone.

    Raises:
        NotFound: when nothing has that name.
        InputError: when it has no configuration, only pickled weights, or needs a network that is not there.
    """
    home = bundled(name)
    path = path_given = home or _path(name)
    if path.is_file():
        _check_suffix("vae", path, allow_pickle=allow_pickle)
        return ModelSource(
            name=_absolute(path), kind="file", folder=path.parent.absolute(), identity=file_identity(path),
            file=path.absolute(), pickled=path.suffix in PICKLES,
        )  # fmt: skip
    if path.is_dir():
        path = path / "vae" if (path / INDEX).is_file() and (path / "vae").is_dir() else path
        if not (path / "config.json").is_file():
            raise _no_vae(name, ref_value("vae", "FOLDER"))
        files = choose_files(name, listing(path), None, None, field="vae", allow_pickle=allow_pickle)
        return ModelSource(
            name=name if home else _absolute(path_given), kind="bundled" if home else "folder",
            folder=path.absolute(), identity=content_identity(path, (*files.configs, *files.weights)),
            variant=files.variant, pickled=_pickled(files),
        )  # fmt: skip
    if not hub.is_id(name):
        allowed = f"{ALLOWED_VAES}: {', '.join(bundled_vaes())}"
        raise NotFound("vae", name, allowed=allowed, hint="promptlab models", names=bundled_vaes())
    snapshot = hub.find(name, None, "vae", ALLOWED_VAES, allow_pickle=allow_pickle)
    if "config.json" not in snapshot.files:
        raise _no_vae(name, "promptlab models")
    files = choose_files(name, snapshot.files, None, None, field="vae", allow_pickle=allow_pickle)
    return _from_hub(name, snapshot, files)


def _local(
    name: str, kind: Kind, folder: Path, variant: str | None, revision: str | None, *, allow_pickle: bool
) -> ModelSource:
    _refuse_revision(name, revision)
    if not (folder / INDEX).is_file():
        if (folder / MODULAR_INDEX).is_file():
            raise modular_model(name, folder)
        pickled = next((path for path in sorted(folder.iterdir()) if path.suffix in PICKLES), None)
        if pickled is not None and not any(folder.glob("*.safetensors")):
            raise _no_safetensors("model", pickled, hint=f"{ref_value('model', _absolute(pickled))} {ALLOW_PICKLE}")
        raise _no_model(name)
    index = read_json(folder / INDEX)
    read_configuration(folder, name)  # code of its own is named before all else
    files = choose_files(name, listing(folder), index, variant, allow_pickle=allow_pickle)
    if not lacks_prior(index):
        check_parts(name, folder, index, files.weights)
    found = ModelSource(
        name=name, kind=kind, folder=folder.absolute(), variant=files.variant,
        identity=content_identity(folder, (*files.configs, *files.weights)), pickled=_pickled(files),
    )  # fmt: skip
    return _with_prior(found, index, allow_pickle=allow_pickle)


def _with_prior(found: ModelSource, index: Mapping[str, Any], *, allow_pickle: bool) -> ModelSource:
    if not lacks_prior(index):
        return found
    name = read_prior_id(found.folder, found.name)
    path = found.folder / name
    try:
        prior = find_model(str(path) if path.is_dir() else name, None, None, allow_pickle=allow_pickle)
    except InputError as error:
        problem = f"is made with the prior {name}, which {error.problem}"
        raise InputError("model", found.name, problem=problem, allowed=error.allowed, hint=error.hint) from error
    both = sha256(f"{found.identity}+{prior.identity}".encode()).hexdigest()
    return replace(found, prior=prior, identity=f"sha256:{both}")


def _from_hub(name: str, snapshot: hub.Snapshot, files: FileSet) -> ModelSource:
    folder = snapshot.fetch(files.configs)
    return ModelSource(
        name=name, kind="hub", folder=folder, identity=f"commit:{snapshot.commit}", revision=snapshot.commit,
        variant=files.variant, absent=tuple(file for file in files.weights if not (folder / file).is_file()),
        pickled=_pickled(files),
    )  # fmt: skip


def _single_file(path: Path, revision: str | None, config: str | None, *, allow_pickle: bool) -> ModelSource:
    """Find a checkpoint in one file, whose configuration is that of the model it was trained from."""
    from promptlab.engine.sources.checkpoint import given_configuration, infer_configuration

    _check_suffix("model", path, allow_pickle=allow_pickle)
    _refuse_revision(str(path), revision)
    identity = file_identity(path)
    if config is None:
        home = infer_configuration(path)
    else:
        there = _path(config)
        home = given_configuration(path, config, there)
        config = _absolute(there) if there.is_dir() and bundled(config) is None else config
    identity = f"sha256:{sha256(f'{identity}+{home.identity}'.encode()).hexdigest()}"
    return ModelSource(
        name=_absolute(path), kind="file", folder=home.folder.absolute(), identity=identity, file=path.absolute(),
        config=config, external=home.external.parts, denoiser=home.external.denoiser,
        beside=home.external.files,
        pickled=path.suffix in PICKLES,
    )  # fmt: skip


def _path(name: str) -> Path:
    """Return ``name`` as a path; one that is nowhere, when it cannot be one (empty, too long)."""
    try:
        path = Path(name).expanduser()
        return path if name.strip() and path.exists() else _NOWHERE
    except (OSError, RuntimeError):
        return _NOWHERE


def _absolute(path: Path) -> str:
    """Return ``path`` from the root, without ``..``; links are kept, as the Hub's cache needs."""
    return os.path.normpath(path.absolute())


def _refuse_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise InputError(
            "revision", revision, problem=f"means nothing for {name}, which does not come from the Hub",
            allowed="a branch, tag or commit of a Hub model", hint=f"the command without {ref('revision')}",
        )  # fmt: skip


def _pickled(files: FileSet) -> bool:
    return any(file.endswith(PICKLES) for file in files.weights)


def _no_model(name: str) -> InputError:
    return InputError(
        "model", name, problem=f"has no {INDEX}, so it is no diffusers model",
        allowed=f"{ALLOWED_MODELS}: {', '.join(bundled_models())}", hint="promptlab models",
    )  # fmt: skip


def _no_vae(name: str, hint: str) -> InputError:
    return InputError(
        "vae", name, problem="has no config.json, so it is no VAE",
        allowed=f"{ALLOWED_VAES}: {', '.join(bundled_vaes())}", hint=hint,
    )  # fmt: skip


def _check_suffix(field: str, path: Path, *, allow_pickle: bool) -> None:
    if field == "model" and path.suffix == ".gguf":
        raise InputError(
            field, str(path), problem="is a GGUF, which holds a denoiser alone",
            allowed="the model that it is of, with the file in place of its denoiser",
            hint=f"{ref_value(field, 'ID')} {ref_value('quantization', f'{GGUF}{path}')}",
        )  # fmt: skip
    if path.suffix != ".safetensors" and not (allow_pickle and path.suffix in PICKLES):
        raise _no_safetensors(field, path, hint=f"{ALLOW_PICKLE} if you trust whoever made it")


def _no_safetensors(field: str, path: Path, *, hint: str) -> InputError:
    pickled = path.suffix in PICKLES
    return InputError(
        field, str(path), problem="is pickled, which may hold a program" if pickled else "is no safetensors file",
        allowed=f"safetensors weights{f', or {ALLOW_PICKLE}' if pickled else ''}",
        hint=hint if pickled else ref_value(field, "FILE.safetensors"),
    )  # fmt: skip
