"""Groups pictures to be compared: by the wordings of a run, by the values of a setting in a sweep.

A group has a name and pictures at seeds, in one circumstance or several: whatever else may differ between two pictures
of a run or a sweep (the wording, the other settings) is one circumstance. Invariant: groups are compared within a
circumstance, at one seed, so that nothing differs but what is asked about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.records import ImageStatus, RunRecord, SweepRecord
from promptlab.specs.settings import setting_named

__all__ = ["GroupedPictures", "PictureGroup", "asked_dimensions", "axis_name", "group_by_axis", "group_by_wording"]

_WORDINGS: Final = "a run of two wordings or more, at two seeds or more"

_SIDES: Final = frozenset({"width", "height"})

_Place = tuple[int, ...]
"""A circumstance: the places on the other dimensions, then the wording's in its run."""

_Pictures = Mapping[_Place, Mapping[int, str]]
"""Paths by circumstance and seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureGroup:
    """Holds the pictures that are compared with those of other groups.

    Args:
        name: of the wording, or the value of the setting, that they have in common.
        prompts: by circumstance.
        paths: by circumstance and seed, relative to the workspace.
    """

    name: str
    prompts: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedPictures:
    """Holds groups that have their pictures in the same circumstances, at the same seeds.

    Args:
        kind, number: what they are of: ``run`` or ``sweep``, and which; errors name it.
        seeds: two or more.
        groups: two or more.
    """

    kind: Literal["run", "sweep"]
    number: int
    seeds: tuple[int, ...]
    groups: tuple[PictureGroup, ...]

    @property
    def circumstances(self) -> int:
        """Count the circumstances."""
        return len(self.groups[0].paths)


def group_by_wording(run: RunRecord) -> GroupedPictures:
    """Group the pictures of ``run`` by their wordings, at the seeds that all wordings have.

    Raises:
        InputError: when there are not two wordings at two seeds.
    """
    have = f"has {len(run.variants)} wording{'s' * (len(run.variants) != 1)}"
    if len(run.variants) < 2:
        hint = 'promptlab rerun RUN --replace "OLD=>{OLD|NEW}"'.replace("RUN", str(run.id))
        raise InputError("run", run.id, problem=have, allowed=_WORDINGS, hint=hint)
    made = _made(run)
    seeds = _common_seeds(run.spec.seeds, made.values())
    if len(seeds) < 2:
        at = f"{have} at {len(seeds)} seed{'s' * (len(seeds) != 1)}"
        hint = ("promptlab resume RUN" if run.owed else "promptlab rerun RUN --seeds 0-7").replace("RUN", str(run.id))
        raise InputError("run", run.id, problem=at, allowed=_WORDINGS, hint=hint)
    groups = tuple(
        PictureGroup(
            name=one.variant.label or one.variant.prompt,
            prompts=(one.variant.prompt,),
            paths=(tuple(made[one.position][seed] for seed in seeds),),
        )
        for one in run.variants
    )
    return GroupedPictures(kind="run", number=run.id, seeds=seeds, groups=groups)


def axis_name(fields: Sequence[str]) -> str:
    """Return what a dimension of a sweep is called: ``steps``, or ``steps and guidance`` of two in one."""
    return " and ".join(_setting_names(fields))


def _setting_name(field: str) -> str:
    row = setting_named(field)
    return field if row is None else row.name


def _setting_names(fields: Sequence[str]) -> list[str]:
    """Return the names of the settings that vary together, as one types them."""
    names = list(map(_setting_name, fields))
    return ["size"] if set(names) == _SIDES else names


def asked_dimensions(sweep: SweepRecord, by: Collection[str]) -> tuple[int, ...]:
    """Return the places of the dimensions of a sweep that are asked about.

    Args:
        by: settings, by any of their names; all dimensions of two values or more where none is named.

    Raises:
        InputError: when nothing varies.
        UnknownValue: for a name that is no axis of the sweep with two values.
    """
    varied = {
        at: fields
        for at, fields in enumerate(sweep.dimensions)
        if len({run.place[at] for run in sweep.runs}) > 1 and fields != ("seeds",)
    }
    if not varied:
        raise InputError(
            "sweep", sweep.id, problem="has no setting of two values", allowed="a sweep in which one varies",
            hint='promptlab run "…" --seeds 0-7 --scheduler euler --scheduler heun',
        )  # fmt: skip
    names = {at: _names(fields) for at, fields in varied.items()}
    for each in by:
        if not any(each in known for known in names.values()):
            allowed = [name for fields in varied.values() for name in _setting_names(fields)]
            hint = f"promptlab effect sweep:{sweep.id} {ref_value('by', allowed[0])}"
            raise UnknownValue("by", each, allowed, hint=hint)
    return tuple(at for at, known in names.items() if not by or not known.isdisjoint(by))


def _names(fields: Sequence[str]) -> frozenset[str]:
    """Return every name that the settings of a dimension go by."""
    rows = ((field, setting_named(field)) for field in fields)
    names = {name for field, row in rows for name in ({field} if row is None else {field, *row.names})}
    return frozenset({*names, *_setting_names(fields), axis_name(fields)})


def group_by_axis(sweep: SweepRecord, runs: Mapping[int, RunRecord], dimension: int) -> GroupedPictures:
    """Group the pictures of ``sweep`` by their values on one dimension.

    They are compared in the circumstances in which every value was made, at the seeds that all of these have.

    Args:
        runs: those of the sweep, by number.

    Raises:
        InputError: when no circumstance has all values, or they share fewer than two seeds.
    """
    fields = sweep.dimensions[dimension]
    joint = "x" if axis_name(fields) == "size" else ", "
    names: dict[int, str] = {}
    pictures: dict[int, dict[_Place, dict[int, str]]] = {}
    prompts: dict[tuple[int, _Place], str] = {}
    for member in sorted(sweep.runs, key=lambda one: one.place):
        value, run = member.place[dimension], runs[member.run_id]
        said = {_setting_name(field): shown for field, shown in member.values}
        names[value] = joint.join(said.get(_setting_name(field), "default") for field in fields)
        others = tuple(
            place
            for at, place in enumerate(member.place)
            if at != dimension and sweep.dimensions[at] != ("seeds",)  # a seed is no circumstance
        )
        for position, made in _made(run).items():
            pictures.setdefault(value, {}).setdefault((*others, position), {}).update(made)
            prompts[value, (*others, position)] = run.variants[position].variant.prompt
    shared = [place for place in pictures[min(pictures)] if all(place in each for each in pictures.values())]
    seeds = _shared_seeds(sweep, runs, pictures, shared, axis_name(fields))
    groups = tuple(
        PictureGroup(
            name=names[value],
            prompts=tuple(prompts[value, place] for place in shared),
            paths=tuple(tuple(each[place][seed] for seed in seeds) for place in shared),
        )
        for value, each in pictures.items()
    )
    return GroupedPictures(kind="sweep", number=sweep.id, seeds=seeds, groups=groups)


def _shared_seeds(
    sweep: SweepRecord, runs: Mapping[int, RunRecord], pictures: Mapping[int, _Pictures], shared: Sequence[_Place],
    name: str,
) -> tuple[int, ...]:  # fmt: skip
    """Return the seeds at which every value has its picture in every one of the ``shared`` circumstances."""
    allowed = "two seeds or more that all values have"
    if not shared:
        raise InputError(
            "sweep", sweep.id, problem=f"has no wording and other settings that all values of {name} were made with",
            allowed=allowed,
        )  # fmt: skip
    every = dict.fromkeys(seed for member in sweep.runs for seed in runs[member.run_id].spec.seeds)
    seeds = _common_seeds(tuple(every), (each[place] for each in pictures.values() for place in shared))
    if len(seeds) < 2:
        many = "one seed" if seeds else "no seed"
        owed = next((run.id for run in runs.values() if run.owed), None)
        hint = "the command that made it, with --seeds 0-7" if owed is None else f"promptlab resume {owed}"
        problem = f"has {many} at which every value of {name} has its picture"
        raise InputError("sweep", sweep.id, problem=problem, allowed=allowed, hint=hint)
    return seeds


def _made(run: RunRecord) -> dict[int, dict[int, str]]:
    """Return the paths of the pictures of ``run`` by wording and seed."""
    found: dict[int, dict[int, str]] = {one.position: {} for one in run.variants}
    for image in run.images:
        if image.status is ImageStatus.MADE and image.path:
            found[image.variant][image.seed] = image.path
    return found


def _common_seeds(seeds: Sequence[int], pictures: Iterable[Mapping[int, str]]) -> tuple[int, ...]:
    """Return those of ``seeds`` that all ``pictures`` have."""
    held = list(pictures)
    return tuple(seed for seed in seeds if all(seed in each for each in held))
