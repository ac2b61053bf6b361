"""Chooses which files of a model are read, by their names in a folder or a Hub repository.

Invariant: only safetensors are weights, unless pickles were allowed. A part that has nothing else than pickled weights
is refused here, before a byte of it is opened, because a pickle may hold a program.

The names are those of diffusers (``diffusion_pytorch_model``) and transformers (``model``), each with an optional
variant and shard number: ``model.fp16-00001-of-00002.safetensors``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Final

from promptlab.engine.sources.hash_memory import FileStamp, hash_file
from promptlab.errors import InputError, UnknownValue, one_line, ref, ref_value

__all__ = [
    "ALLOW_PICKLE",
    "INDEX",
    "MODULAR_INDEX",
    "PICKLES",
    "FileSet",
    "check_parts",
    "choose_files",
    "content_identity",
    "file_identity",
    "hash_ahead",
    "listing",
    "read_header",
    "read_json",
    "read_metadata",
]

INDEX: Final = "model_index.json"
MODULAR_INDEX: Final = "modular_model_index.json"
_WEIGHTS: Final = re.compile(
    r"(?:diffusion_pytorch_model|model)(?:\.(?P<variant>[A-Za-z0-9_]+))?(?:-\d+-of-\d+)?(?:\.(?P<legacy>[A-Za-z0-9_]+))?"
    r"\.safetensors"
)
_PICKLED_WEIGHTS: Final = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model)(?:\.(?P<variant>[A-Za-z0-9_]+))?(?:-\d+-of-\d+)?"
    r"(?:\.(?P<legacy>[A-Za-z0-9_]+))?\.bin"
)
_SHARD: Final = re.compile(r"(?P<before>.+-)(?P<number>\d+)-of-(?P<of>\d+)(?P<after>\..+)")
ALLOW_PICKLE: Final = ref("allow_pickle")
"""What must be said, each time anew, for pickled weights to be read: no spec and no record holds it."""

PICKLES: Final = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_TEXTS: Final = (".json", ".txt", ".model", ".jinja")
_MOST_DIGESTS: Final = 4096
_HASHERS: Final = 4
_MOST_NUMBERS: Final = 2**60
"""Bounds the numbers of one tensor: of more torch cannot say how many bytes they are."""

_MOST_SIDES: Final = 64
"""Of a tensor, as torch has them."""

_LONGEST_HEADER: Final = 100_000_000  # bytes; the format's own limit
_WEIGHTLESS: Final = re.compile(r"Tokenizer|Processor|Extractor|Scheduler")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSet:
    """Lists what ``from_pretrained`` reads, as paths relative to the model, with forward slashes.

    Args:
        configs: configurations, vocabularies.
        weights: safetensors, or, where they are allowed, pickles of parts that have no others.
        variant: of the weights, as diffusers takes it; chosen when a model has no others.
    """

    configs: tuple[str, ...]
    weights: tuple[str, ...]
    variant: str | None


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in ``path``.

    Raises:
        InputError: when it cannot be read or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("model", str(path), problem=f"cannot be read: {one_line(error)}", allowed="JSON") from error
    if not isinstance(value, dict):
        raise InputError("model", str(path), problem="is not a configuration", allowed="a JSON object")
    return value


def read_header(path: Path, field: str) -> dict[str, dict[str, Any]]:
    """Read the tensors of a safetensors file by name, each with ``dtype`` (``F32`` …) and ``shape``.

    A file with the suffix of a pickle is left to :mod:`promptlab.engine.sources.pickles`: the caller knows that it may
    be read.

    Source: the format's description in the safetensors README: 8 bytes of length, then that much JSON.

    Raises:
        InputError: when it is no safetensors file.
    """
    if path.suffix in PICKLES:
        from promptlab.engine.sources.pickles import pickled_header

        return pickled_header(path, field)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            # what the bytes of another kind of file happen to say must not fill the memory
            header = json.loads(file.read(length) if length <= _LONGEST_HEADER else b"")
        tensors = {name: _tensor(entry) for name, entry in header.items() if name != "__metadata__"}
        ends = (int(tensor["data_offsets"][1]) for tensor in tensors.values() if "data_offsets" in tensor)
        whole, size = 8 + length + max(ends, default=0), path.stat().st_size
    except (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
        reason = one_line(error) if isinstance(error, OSError) else "it does not begin with a list of tensors"
        raise InputError(
            field, str(path), problem=f"is no safetensors file: {reason}", allowed="safetensors weights",
            hint=ref_value(field, "FILE.safetensors"),
        ) from error  # fmt: skip
    if size < whole:
        raise InputError(
            field, str(path), problem=f"is cut short: it has {size:,} of its {whole:,} bytes",
            allowed="a whole file: its download was broken off", hint=ref_value(field, "FILE.safetensors"),
        )  # fmt: skip
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """Read what a program wrote about a safetensors file into its header; nothing of other files."""
    if path.suffix != ".safetensors":
        return {}
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            found = json.loads(file.read(length) if length <= _LONGEST_HEADER else b"{}").get("__metadata__", {})
        return {str(key): value for key, value in found.items() if isinstance(value, str)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _tensor(entry: Any) -> dict[str, Any]:
    """Return what a header says of a tensor, as far as it can be one.

    Raises:
        ValueError: when it cannot, as ``TypeError`` and ``LookupError`` do.
    """
    tensor = dict(entry)
    sides = tensor["shape"]
    listed = isinstance(sides, list) and len(sides) <= _MOST_SIDES  # a product of millions of sides takes hours
    counted = listed and all(isinstance(side, int) and 0 <= side <= _MOST_NUMBERS for side in sides)
    if not counted or prod(sides) > _MOST_NUMBERS or not isinstance(tensor["dtype"], str):
        raise ValueError(f"no tensor: {one_line(tensor, limit=80)}")
    return tensor


def check_parts(name: str, folder: Path, index: Mapping[str, Any], weights: Collection[str]) -> None:
    """Check that parts that ``index`` names are in ``folder``, and no file of weights is cut.

    Raises:
        InputError: naming the part, or the file. diffusers would find out while it loads.
    """
    for part, value in index.items():
        named = isinstance(value, list) and len(value) == 2 and value[0]
        if named and not part.startswith("_") and not (folder / part).is_dir():
            raise InputError(
                "model", name, problem=f"names a {part} ({value[1]}) that is not in its folder: {folder / part}",
                allowed=f"a whole copy, or [null, null] for {part} in {INDEX}",
                hint=ref_value("model", "FOLDER"),
            )  # fmt: skip
    for file in weights:
        if file.endswith(".safetensors"):
            read_header(folder / file, "model")


def listing(folder: Path) -> tuple[str, ...]:
    """List every file of a model folder down to its parts' folders, relative, with forward slashes."""
    return tuple(
        sorted(
            path.relative_to(folder).as_posix() for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()
        )
    )


def choose_files(
    name: str,
    files: Collection[str],
    index: Mapping[str, Any] | None,
    variant: str | None,
    *,
    field: str = "model",
    allow_pickle: bool = False,
    without: Collection[str] = (),
) -> FileSet:
    """Choose the files to read of the model ``name``.

    Args:
        name: as the user typed it, for the sentence of an error.
        files: all there is; see :func:`listing`.
        index: the content of ``model_index.json``, which names the parts; ``None`` for a single model such as a VAE.
        variant: as asked for. A part without it is read plain, as diffusers does.
        field: of a spec that the name was given as.
        allow_pickle: whether pickled weights will do, for a part that has no others.
        without: parts whose weights are not wanted, and need not be there.

    Raises:
        InputError: when a part has only pickled weights and may not, or none, or not all files of them.
        UnknownValue: when no part has the variant.
    """
    parts = [part for part in _parts(files, index) if part not in without]
    safe = {part: _by_variant(files, part, _WEIGHTS) for part in parts}
    if allow_pickle:
        safe = {part: found or _by_variant(files, part, _PICKLED_WEIGHTS) for part, found in safe.items()}
    there = sorted({str(found) for variants in safe.values() for found in variants if found})
    if variant is not None and variant not in there:
        raise UnknownValue(
            "variant", variant, there, problem=f"is no variant of {name}",
            hint=ref_value("variant", there[0]) if there else f"the command without {ref('variant')}",
        )  # fmt: skip
    variant = variant or _only_variant(safe.values())
    weights: list[str] = []
    for part in parts:
        chosen = safe[part].get(variant) or safe[part].get(None)
        if not chosen:
            raise _without_weights(name, part, files, field, sorted(filter(None, safe[part])))
        if missing := _missing_shard(chosen):
            raise InputError(
                field, name, problem=f"lacks {missing}, one of the files that its weights are in",
                allowed="all of them", hint=f"{ref(field)} with a whole copy",
            )  # fmt: skip
        weights += chosen
    return FileSet(configs=_configs(files, index), weights=tuple(sorted(weights)), variant=variant)


def content_identity(folder: Path, names: Collection[str]) -> str:
    """Return ``sha256:<hex>`` over the names and contents of these files of ``folder``."""
    with ThreadPoolExecutor(
        max_workers=_HASHERS
    ) as pool:  # hashing leaves the interpreter lock, and a model has a few big files
        digests = list(pool.map(lambda name: _digest_of(folder / name), sorted(names)))
    lines = (f"{name}\0{digest}\n" for name, digest in zip(sorted(names), digests, strict=True))
    return f"sha256:{sha256(''.join(lines).encode()).hexdigest()}"


def file_identity(path: Path) -> str:
    """Return ``sha256:<hex>`` of one file: the hash that model pages show."""
    return f"sha256:{_digest_of(path)}"


def hash_ahead(paths: Iterable[Path]) -> None:
    """Begin to hash files on threads, which leave the interpreter to whoever imports meanwhile.

    Whoever asks for the hash of one of them waits for what is under way. What cannot be read is said then.
    """
    some = tuple(paths)
    for share in filter(None, (some[number::_HASHERS] for number in range(_HASHERS))):
        # a daemon, because a command that is refused does not wait for gigabytes
        threading.Thread(target=_hash_quietly, args=(share,), name="hash", daemon=True).start()


def _hash_quietly(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            _digest_of(path)


def _digest_of(path: Path) -> str:
    return _digest(FileStamp.of(path))


_digests: dict[FileStamp, Future[str]] = {}
"""Of this process, those under way included."""
_adding: Final = threading.Lock()


def _digest(stamp: FileStamp) -> str:
    with _adding:
        known = _digests.get(stamp)
        mine: Future[str] | None = None
        if known is None:
            while len(_digests) >= _MOST_DIGESTS:
                _digests.pop(next(iter(_digests)))
            known = mine = _digests[stamp] = Future()
    if mine is not None:
        try:
            mine.set_result(hash_file(stamp))
        except BaseException as error:
            _digests.pop(stamp, None)
            mine.set_exception(error)
            raise
    return known.result()


def _part(file: str) -> str:
    folder = PurePosixPath(file).parent.as_posix()
    return "" if folder == "." else folder


def _parts(files: Collection[str], index: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the parts that have weights: those with a configuration of a model, not of a tokenizer."""
    if index is None:
        return ("",)
    return tuple(
        part
        for part, value in sorted(index.items())
        if isinstance(value, list)
        and len(value) == 2
        and isinstance(value[1], str)
        and not _WEIGHTLESS.search(value[1])
        and f"{part}/config.json" in files
    )


def _configs(files: Collection[str], index: Mapping[str, Any] | None) -> tuple[str, ...]:
    named = {part for part, value in (index or {}).items() if isinstance(value, list) and value and value[0]}
    folders = named if index is not None else {""}
    texts = (file for file in files if PurePosixPath(file).suffix in _TEXTS)
    return tuple(sorted(file for file in texts if file == INDEX or _part(file) in folders))


def _only_variant(weights: Iterable[Mapping[str | None, list[str]]]) -> str | None:
    """Return the variant of parts that have no plain weights, where they have one in common.

    A model may ship with one variant only; diffusers would then say that it has no weights at all.
    """
    lacking = [set(variants) for variants in weights if variants and None not in variants]
    shared = set.intersection(*lacking) if lacking else set()
    return min(filter(None, shared), default=None)


def _by_variant(files: Collection[str], part: str, names: re.Pattern[str]) -> dict[str | None, list[str]]:
    found: dict[str | None, list[str]] = {}
    for file in files:
        match = names.fullmatch(PurePosixPath(file).name) if _part(file) == part else None
        if match:
            found.setdefault(match["variant"] or match["legacy"], []).append(file)
    return found


def _missing_shard(chosen: Collection[str]) -> str | None:
    """Return the first that is missing of the files that a part's weights are divided into."""
    there = set(chosen)
    shards = [match for file in chosen if (match := _SHARD.fullmatch(file))]
    if len(shards) < len(there):  # the whole is there, too
        return None
    for match in shards:
        for number in range(1, int(match["of"]) + 1):
            file = f"{match['before']}{number:0{len(match['number'])}}-of-{match['of']}{match['after']}"
            if file not in there:
                return file
    return None


def _without_weights(name: str, part: str, files: Collection[str], field: str, variants: list[str]) -> InputError:
    where = f" in {part}" if part else ""
    if variants:
        return UnknownValue(
            "variant", "none", variants, problem=f"is no variant{where} of {name}", hint=ref_value(field, name)
        )
    pickled = any(_part(file) == part and PurePosixPath(file).suffix in PICKLES for file in files)
    return InputError(
        field, name,
        problem=f"has only pickled weights{where}, which may hold programs" if pickled
        else f"has no weights{where}",
        allowed=f"safetensors weights{f', or {ALLOW_PICKLE}' if pickled else ''}",
        hint=f"{ALLOW_PICKLE} if you trust whoever made it" if pickled
        else f"{ref(field)} with the name of a safetensors version",
    )  # fmt: skip
