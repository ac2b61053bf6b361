"""Writes what travels between processes as JSON and reads it back: dataclasses, by their type hints.

Specs, requests to an engine, events, records and errors have this one codec, whatever carries the text: a pipe, a
socket, another machine. It is our own and not msgspec: our dataclasses check themselves when they are made, hold pixels
and values of any type, and what cannot be read has to be refused in a sentence that names both sides.

A dataclass is an object that names its class: ``{"type": "SweepRun", "run_id": 3, …}``. Fields that have their default
are left out. Sequences are lists, pixels are base64 of their bytes; what may be anything says itself what it is.

Invariant: what is read back is equal to what was written. A class or a field that the reader does not know is refused,
with the versions of both sides; nothing is imported, called or made but what the hint of the reader names.
"""

from __future__ import annotations

import base64
import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from promptlab import specs
from promptlab.errors import ServerError

__all__ = ["decode", "encode"]

T = TypeVar("T")

_SPOKEN: Final = frozenset({"Embedding", "Lora", "SchedulerSpec", "Variant"})
"""Classes of specs that may stand where a hint says ``Any``: values of axes, and what a change was and is."""


class _Pixels:
    """Stands for numpy's arrays in hints, which are imported for type checkers only."""

    def __class_getitem__(cls, _kind: object) -> type[_Pixels]:
        return cls


_FOR_TYPE_CHECKERS: Final = {"NDArray": _Pixels, "np": SimpleNamespace(uint8=None, float32=None)}


class _Unreadable(Exception):
    """Says why a value is not what the hint names."""


class _Codec(NamedTuple):
    """Writes values of one hint and reads them; ``takes`` says whether a plain value can be one of its."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    takes: Callable[[Any], bool]


def encode(value: object) -> Any:
    """Return ``value`` as plain values, ready for JSON: dataclasses, scalars, collections of these."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case Path():
            return str(value)
        case Mapping():
            return _write_mapping(value, encode, encode)
        case list() | tuple() | frozenset():
            return [encode(each) for each in value]
        case _ if dataclasses.is_dataclass(value):
            return _codec_of(value).write(value)
    raise TypeError(f"{type(value).__name__} does not travel")


def decode(hint: Callable[..., T] | Any, plain: Any, *, theirs: str) -> T:
    """Return what :func:`encode` wrote, as ``hint`` names it.

    Args:
        hint: a dataclass, a union of them, or a collection as one writes it in an annotation.
        plain: as JSON gave it.
        theirs: the version of PromptLab that wrote it, for the error.

    Raises:
        ServerError: when it is something else, with the versions of both sides.
        InputError: when a spec refuses its values.
    """
    try:
        return _codec(hint).read(plain)  # type: ignore[no-any-return]
    except (_Unreadable, TypeError, ValueError, KeyError) as error:
        from promptlab import __version__

        raise ServerError(
            f"what PromptLab {theirs} wrote cannot be read by PromptLab {__version__}: {error}; "
            "type: pip install --upgrade promptlab, on both sides"
        ) from error


def _codec_of(value: object) -> _Codec:
    kind: Any = type(value)
    return _codec(kind)


@cache
def _codec(hint: Any) -> _Codec:
    """Return the codec of a hint."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return _ANYTHING
    if origin in (Union, UnionType):
        return _union(args)
    if origin is Literal:
        return _plain(lambda plain: isinstance(plain, str | int | bool) and plain in args, repr(args))
    if hint in _SCALARS:
        return _SCALARS[hint]
    if hint is _Pixels:
        return _Codec(_write_pixels, _read_pixels, lambda plain: isinstance(plain, dict) and "pixels" in plain)
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _Codec(lambda value: value.value, hint, lambda plain: isinstance(plain, str))
    if origin is tuple and args[-1:] != (...,):
        return _pair([_codec(each) for each in args])
    if isinstance(origin, type) and issubclass(origin, Mapping | Counter):
        return _mapping(Counter if origin is Counter else dict, _codec(args[0]), _codec((*args, int)[1]))
    return _sequence({list: list, frozenset: frozenset}.get(origin, tuple), _codec(args[0]))


def _plain(takes: Callable[[Any], bool], what: str) -> _Codec:
    """Return the codec of values that JSON has, which are checked when they are read."""

    def read(plain: Any) -> Any:
        if not takes(plain):
            raise _Unreadable(f"{str(plain)[:80]!r} where {what} is expected")
        return plain

    return _Codec(lambda value: value, read, takes)


def _is_whole(plain: Any) -> bool:
    return isinstance(plain, int) and not isinstance(plain, bool)


_SCALARS: Final[Mapping[Any, _Codec]] = {
    NoneType: _plain(lambda plain: plain is None, "nothing"),
    bool: _plain(lambda plain: isinstance(plain, bool), "true or false"),
    int: _plain(_is_whole, "a whole number"),
    float: _plain(lambda plain: isinstance(plain, float) or _is_whole(plain), "a number"),
    str: _plain(lambda plain: isinstance(plain, str), "a text"),
    datetime: _Codec(datetime.isoformat, datetime.fromisoformat, lambda plain: isinstance(plain, str)),
    Path: _Codec(str, Path, lambda plain: isinstance(plain, str)),
}


def _dataclass(kind: Any) -> _Codec:
    name = kind.__name__
    hints = get_type_hints(kind, None, _FOR_TYPE_CHECKERS)
    fields = [(each.name, _codec(hints[each.name]), each.default) for each in dataclasses.fields(kind)]
    codecs = {field: codec for field, codec, _ in fields}

    def write(value: Any) -> dict[str, Any]:
        plain = {"type": name}
        for field, codec, default in fields:
            inner = getattr(value, field)
            if inner is not default and (
                default is dataclasses.MISSING or type(inner) is not type(default) or inner != default
            ):
                plain[field] = codec.write(inner)
        return plain

    def takes(plain: Any) -> bool:
        return isinstance(plain, dict) and plain.get("type") == name

    def read(plain: Any) -> Any:
        if not takes(plain):
            found = plain.get("type") if isinstance(plain, dict) else plain
            raise _Unreadable(f"{str(found)[:80]!r} where {name} is expected")
        unknown = plain.keys() - codecs.keys() - {"type"}
        if unknown:
            raise _Unreadable(f"{name} has no field {min(unknown)!r}")
        return kind(**{field: codecs[field].read(inner) for field, inner in plain.items() if field != "type"})

    return _Codec(write, read, takes)


def _union(hints: tuple[Any, ...]) -> _Codec:
    """Return the codec of a union: dataclasses are told apart by their names, the rest by their look.

    The codecs of dataclasses are made when one is met: of all events, a client meets few.
    """
    named = {each.__name__: each for each in hints if isinstance(each, type) and dataclasses.is_dataclass(each)}
    others = [(each, _codec(each)) for each in hints if each not in named.values()]

    def write(value: Any) -> Any:
        if type(value).__name__ in named:
            return _codec(named[type(value).__name__]).write(value)
        for hint, codec in others:
            if _is_one(value, hint):
                return codec.write(value)
        raise TypeError(f"{type(value).__name__} does not travel here")

    def is_named(plain: Any) -> bool:
        return isinstance(plain, dict) and plain.get("type") in named

    def read(plain: Any) -> Any:
        if is_named(plain):
            return _codec(named[plain["type"]]).read(plain)
        for _, codec in others:
            if codec.takes(plain):
                return codec.read(plain)
        found = plain.get("type") if isinstance(plain, dict) else plain
        raise _Unreadable(f"{str(found)[:80]!r} is none of {', '.join(named) or hints}")

    return _Codec(write, read, lambda plain: is_named(plain) or any(codec.takes(plain) for _, codec in others))


def _is_one(value: object, hint: Any) -> bool:
    """Say whether ``value`` is written as ``hint``, of members of a union that JSON tells apart."""
    if hint in (None, NoneType) or get_origin(hint) is Literal:
        return value in get_args(hint) if get_args(hint) else value is None
    kind = get_origin(hint) or hint
    return isinstance(value, int | float if kind is float else kind)


def _sequence(make: Callable[[Any], Any], item: _Codec) -> _Codec:
    def read(plain: Any) -> Any:
        if not isinstance(plain, list):
            raise _Unreadable(f"{str(plain)[:80]!r} where a list is expected")
        return make([item.read(each) for each in plain])

    return _Codec(lambda value: [item.write(each) for each in value], read, lambda plain: isinstance(plain, list))


def _pair(items: list[_Codec]) -> _Codec:
    def read(plain: Any) -> Any:
        if not isinstance(plain, list) or len(plain) != len(items):
            raise _Unreadable(f"{str(plain)[:80]!r} where a list of {len(items)} is expected")
        return tuple(item.read(each) for item, each in zip(items, plain, strict=True))

    def write(value: Any) -> Any:
        return [item.write(each) for item, each in zip(items, value, strict=True)]

    return _Codec(write, read, lambda plain: isinstance(plain, list) and len(plain) == len(items))


def _write_mapping(value: Mapping[Any, Any], key: Callable[[Any], Any], item: Callable[[Any], Any]) -> Any:
    """Write a mapping as an object where its keys are texts, else as a list of pairs."""
    if all(isinstance(each, str) for each in value):
        return {each: item(inner) for each, inner in value.items()}
    return [[key(each), item(inner)] for each, inner in value.items()]


def _mapping(make: Callable[[Any], Any], key: _Codec, item: _Codec) -> _Codec:
    def read(plain: Any) -> Any:
        if not isinstance(plain, dict | list):
            raise _Unreadable(f"{str(plain)[:80]!r} where an object is expected")
        pairs = plain.items() if isinstance(plain, dict) else plain
        return make({key.read(each): item.read(inner) for each, inner in pairs})

    return _Codec(
        lambda value: _write_mapping(value, key.write, item.write), read, lambda plain: isinstance(plain, dict | list)
    )


def _write_anything(value: Any) -> Any:
    """Write a value of no known type so that it says what it is: a tuple is no list."""
    match value:
        case None | bool() | int() | float() | str():
            return value.value if isinstance(value, Enum) else value
        case list():
            return [_write_anything(each) for each in value]
        case tuple():
            return {"type": "tuple", "items": [_write_anything(each) for each in value]}
        case Mapping():
            pairs = [[_write_anything(key), _write_anything(inner)] for key, inner in value.items()]
            return {"type": "mapping", "items": pairs}
        case _ if type(value).__name__ in _SPOKEN:
            return _codec_of(value).write(value)
    raise TypeError(f"{type(value).__name__} does not travel here")


def _read_anything(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_read_anything(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    match plain.get("type"):
        case "tuple":
            return tuple(_read_anything(each) for each in plain["items"])
        case "mapping":
            return {_read_anything(key): _read_anything(inner) for key, inner in plain["items"]}
        case str() as name if name in _SPOKEN:
            return _codec(getattr(specs, name)).read(plain)
    raise _Unreadable(f"{str(plain.get('type'))[:80]!r} is unknown")


_ANYTHING: Final = _Codec(_write_anything, _read_anything, lambda _plain: True)


def _write_pixels(pixels: Any) -> dict[str, Any]:
    return {
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
        "shape": list(pixels.shape),
        "dtype": pixels.dtype.str,
    }


def _read_pixels(plain: Any) -> Any:
    import numpy as np

    if plain["dtype"] not in ("|u1", "<f4"):
        raise _Unreadable(f"numbers of the type {plain['dtype']!r}")
    return np.frombuffer(base64.b64decode(plain["pixels"]), plain["dtype"]).reshape(plain["shape"])
