"""Defines the shape of an experiment file: which keys there are, and what may stand behind each.

The models here look at shape only and give back words that know their places; what the words mean is the business of
:mod:`promptlab.expand.fields`. Invariant: what does not have the shape is one error that names its place.

This module imports pydantic, and none imports it before a file is read or the schema asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    PlainValidator,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from pydantic import Field as Key

from promptlab.errors import InputError, UnknownValue
from promptlab.expand.experiment_file.field_schema import ALSO, TEXT, Json, fields_schema, listed, setting_schema
from promptlab.expand.located_yaml import LocatedList, LocatedMapping, LocatedStr, where
from promptlab.specs.settings import SETTINGS, Setting

__all__ = ["ExperimentFields", "File", "PromptFields", "Row", "read_shape"]


def _one(value: Any, info: ValidationInfo) -> LocatedStr | None:
    if value is None or isinstance(value, LocatedStr):
        return value
    raise _wrong(value, info, "one value")


def _many(value: Any, info: ValidationInfo) -> tuple[LocatedStr, ...]:
    if isinstance(value, LocatedStr):
        return (value,)
    if value is None:
        return ()
    if not isinstance(value, LocatedList):
        raise _wrong(value, info, "a text or a list of texts")
    for item in value:
        if not isinstance(item, LocatedStr):
            raise _wrong(value if item is None else item, info, "texts", "holds nothing" if item is None else None)
    return tuple(value)


def _order(value: Any, info: ValidationInfo) -> tuple[LocatedStr, ...] | bool:
    if isinstance(value, LocatedStr) and isinstance(truth := value.value, bool):
        return truth
    parts = _many(value, info)
    return tuple(_at(part, piece) for part in parts for piece in part.split(",") if piece.strip())


def _at(word: LocatedStr, text: str) -> LocatedStr:
    piece = LocatedStr(text.strip())
    piece.file, piece.line, piece.column, piece.plain = word.file, word.line, word.column, False
    return piece


Row = tuple[tuple[LocatedStr, Any], ...]
"""Fields, and what stands behind each: nothing, a word or a list of these."""


def _row(value: Any, info: ValidationInfo) -> Row:
    """Read ``{a: …, b: …}`` or, to fix the order, ``[{a: …}, {b: …}]``."""
    if value is None:
        return ()
    tables = value if isinstance(value, LocatedList) else [value]
    for table in tables:
        if not isinstance(table, LocatedMapping):
            raise _wrong(value if table is None else table, info, "fields and their values, such as steps: [10, 20]")
    return tuple((key, _plain(key, said, info)) for table in tables for key, said in table.items())


def _rows(value: Any, info: ValidationInfo) -> tuple[Row, ...]:
    if value is None:
        return ()
    if isinstance(value, LocatedMapping):
        return (_row(value, info),)
    if not isinstance(value, LocatedList):
        raise _wrong(value, info, "a list of mappings")
    return tuple(_row(item, info) for item in value)


def _table(value: Any, info: ValidationInfo) -> Row:
    if value is not None and not isinstance(value, LocatedMapping):
        raise _wrong(value, info, "names and their values")
    return _row(value, info)


def _plain(key: LocatedStr, value: Any, info: ValidationInfo) -> Any:
    def fits(item: Any, depth: int) -> bool:
        return (
            item is None
            or isinstance(item, LocatedStr)
            or (isinstance(item, LocatedList) and depth < 2 and all(fits(inner, depth + 1) for inner in item))
        )

    if not fits(value, 0):
        raise InputError(f"{key.where}: {info.field_name}.{key}", problem="is not a value or a list of values")
    return value


def _wrong(value: Any, info: ValidationInfo, allowed: str, problem: str | None = None) -> InputError:
    kind = (
        "is a list"
        if isinstance(value, LocatedList)
        else "is a mapping"
        if isinstance(value, LocatedMapping)
        else "is one text"
    )
    shown = str(value) if isinstance(value, LocatedStr) else None
    what = f"{where(value) or 'the file'}: {info.field_name}"
    return InputError(what, shown, problem=problem or kind, allowed=allowed)


_AXES: Final = fields_schema("axes")
_SINGLE: Final[Json] = {"type": "array", "items": {**_AXES, "maxProperties": 1}}

One = Annotated[LocatedStr | None, PlainValidator(_one), WithJsonSchema(TEXT)]
Many = Annotated[tuple[LocatedStr, ...], PlainValidator(_many), WithJsonSchema(listed(TEXT))]


class PromptFields(BaseModel):
    """Holds one of the prompts, with words of its own."""

    model_config = ConfigDict(
        extra="forbid",
        title="prompt",
        json_schema_extra={"description": "One of the prompts, with words of its own."},
    )

    prompt: One = Key(None, description="A template: {a|b||c}, __list__.")
    text: One = Key(None, description="In place of prompt: words taken to the letter, braces included.")
    negative: One = Key(None, description="What to steer away from, in place of the experiment's.")
    label: One = Key(None, description="A few words above its row of the grid.")
    template: One = Key(None, description="With text: the template it was made from, as a run recorded it.")
    replacement: One = Key(None, description="With text: the replacement it was made by, as a run recorded it.")
    source: Annotated[LocatedStr | None, PlainValidator(_one), WithJsonSchema({"type": "integer", "minimum": 0})] = Key(
        None, description="With text: the place of the parent's variant, as a run recorded it."
    )


def _kind_of_prompt(value: Any) -> str:
    return "mapping" if isinstance(value, LocatedMapping) else "text"


Prompt = Annotated[
    Annotated[LocatedStr, PlainValidator(_one), WithJsonSchema(TEXT), Tag("text")]
    | Annotated[PromptFields, Tag("mapping")],
    Discriminator(_kind_of_prompt),
]


_PROMPT: Final[Json] = {"anyOf": [TEXT, PromptFields.model_json_schema()]}
_PROMPTS: Final[Json] = {"anyOf": [*_PROMPT["anyOf"], {"type": "array", "items": _PROMPT, "minItems": 1}]}


class ExperimentFields(BaseModel):
    """Holds the keys of an experiment file that are no settings of a run."""

    model_config = ConfigDict(
        extra="forbid",
        title="PromptLab experiment",
        json_schema_extra={
            "description": "An experiment of PromptLab: what is drawn, with which settings, and what is varied."
        },
    )

    experiment: One = Key(None, description="The line of work; the MLflow experiment of that name.")
    name: One = Key(None, description="A name for the run or the sweep.")
    note: One = Key(None, description="Why, in a sentence: kept with the run.")
    workers: Annotated[
        LocatedStr | None,
        PlainValidator(_one),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
    ] = Key(None, description="Make it on so many GPUs or, without any, cores, a process each; auto for all there are.")
    cluster: One = Key(
        None,
        description="Make it on a Ray cluster: auto for this machine's, or the HOST:PORT that RAY_ADDRESS names, too; "
        "any other is refused unless it is typed.",
    )
    prompts: Annotated[list[Prompt], WithJsonSchema(_PROMPTS)] = Key([], description=SETTINGS["prompts"].help)
    template: One = Key(None, description="In place of prompts: one template.")
    lists: Annotated[
        Row,
        PlainValidator(_table),
        WithJsonSchema({"type": "object", "additionalProperties": listed(TEXT)}),
    ] = Key(
        (), description="Names for __name__: texts, or a text file beside this one. lists/*.txt have names already."
    )
    replace: Many = Key((), description="old=>new; the new words are a template.")
    fragments: Many = Key((), description="Texts switched on and off behind each prompt, in every combination.")
    order: Annotated[
        tuple[LocatedStr, ...] | bool,
        PlainValidator(_order),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, listed(TEXT)]}),
    ] = Key(False, description="Parts of the prompt that are put in every order; true for all between commas.")
    sample: Annotated[LocatedStr | None, PlainValidator(_one), WithJsonSchema({"type": "integer", "minimum": 1})] = Key(
        None, description="Draw so many of the variants instead of all."
    )
    template_seed: Annotated[
        LocatedStr | None, PlainValidator(_one), WithJsonSchema({"type": "integer", "minimum": 0})
    ] = Key(None, description="What the sample is drawn with.")
    axes: Annotated[Row, PlainValidator(_row), WithJsonSchema({"anyOf": [_AXES, _SINGLE]})] = Key(
        (), description="Fields that take several values; they multiply, the first changing slowest."
    )
    zip: Annotated[
        tuple[Row, ...], PlainValidator(_rows), WithJsonSchema({"anyOf": [_AXES, {"type": "array", "items": _AXES}]})
    ] = Key((), description="Groups of fields that vary together, with as many values each.")
    ladder: Annotated[
        tuple[Row, ...], PlainValidator(_rows), WithJsonSchema({"type": "array", "items": fields_schema("step")})
    ] = Key((), description="Steps, one run each: what a step does not name is as in the step before.")
    exclude: Annotated[
        tuple[Row, ...],
        PlainValidator(_rows),
        WithJsonSchema({"type": "array", "items": fields_schema("exclude")}),
    ] = Key((), description="Combinations that are left out: a field's value, or several.")
    arguments: Annotated[
        Row,
        PlainValidator(_table),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}),
    ] = Key((), description="Further arguments of the pipeline's call, by their diffusers names.")


def _setting(row: Setting) -> Any:
    reader, nothing = (_many, ()) if row.kind in ("seeds", "parts") else (_one, None)
    schema = WithJsonSchema(setting_schema(row))
    return Annotated[Any, PlainValidator(reader), schema], Key(nothing, description=row.help, examples=[row.example])


File: Any = create_model(
    "ExperimentFile",
    __base__=ExperimentFields,
    **{name: _setting(row) for name, row in SETTINGS.items() if name != "prompts"},
)
"""The shape with a key for each setting of a run."""


def read_shape(table: LocatedMapping) -> Any:
    """Read the file's keys, each with what stands behind it: an instance of :data:`File`.

    Raises:
        InputError: for a key that is unknown or said twice in two words, or a value of the wrong shape.
    """
    named = _named(table, ALSO)
    prompts = named.get(_at(table.word, "prompts"))
    if isinstance(prompts, LocatedStr | LocatedMapping):
        prompts = _like(prompts, [prompts])
    if isinstance(prompts, LocatedList):
        if None in prompts:
            problem = f"holds nothing as number {prompts.index(None) + 1}"
            raise InputError(f"{prompts.word.where}: prompts", problem=problem, allowed='a text; the empty one is ""')
        words = {"negative_prompt": "negative"}
        named[_at(table.word, "prompts")] = _like(
            prompts, [_named(item, words) if isinstance(item, LocatedMapping) else item for item in prompts]
        )
    given = {key: value for key, value in named.items() if value is not None}
    try:
        return File.model_validate(given)
    except ValidationError as error:
        raise _first(error, named) from None


def _like(value: LocatedStr | LocatedList | LocatedMapping, items: list[Any]) -> LocatedList:
    """Put ``items`` at the place of ``value``."""
    made = LocatedList(items)
    made.word = value if isinstance(value, LocatedStr) else value.word
    return made


def _named(table: LocatedMapping, words: Mapping[str, str]) -> LocatedMapping:
    """Return ``table`` with each key by its short name."""
    named = LocatedMapping()
    named.word = table.word
    for key, value in table.items():
        name = _at(key, words.get(key, str(key)))
        if name in named:
            raise InputError(f"{key.where}: {key}", problem=f"is another word for {name}, which is said already")
        named[name] = value
    return named


def _first(error: ValidationError, table: LocatedMapping) -> InputError:
    """Return what pydantic found first, at its place. Only keys are left to it: values are looked at here."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    here: Any = table
    key: LocatedStr | None = None
    for step in found["loc"]:
        if isinstance(here, LocatedMapping) and step in here:
            key = next(each for each in here if each == step)
            here = here[key]
        elif isinstance(here, LocatedList) and isinstance(step, int) and step < len(here):
            here = here[step]
    place = (key.where if key is not None and found["type"] == "extra_forbidden" else where(here)) or (
        key.where if key is not None else table.word.where
    )
    if found["type"] == "extra_forbidden" and key is not None:
        shape: type[BaseModel] = File if len(found["loc"]) == 1 else PromptFields
        return UnknownValue(f"{place}: key", str(key), shape.model_fields)
    name = next((str(step) for step in found["loc"]), "file")
    problem = "is a list" if isinstance(here, LocatedList) else "is not what belongs here"
    return InputError(f"{place}: {name}", problem=problem, allowed="see promptlab schema")
