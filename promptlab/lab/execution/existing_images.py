"""Finds images that need not be made, since their files are there, and links runs to them.

Invariant: an image exists where its row says that it is made, in the environment that is asked for, and its file is in
the workspace; an image whose file was lost is owed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptlab.plan import ResolvedSpec, keys_of
from promptlab.records import Environment, ImageRecord, RunRecord
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

__all__ = ["ExistingImages"]


class ExistingImages:
    """Looks up the images of one workspace by their recipe keys."""

    def __init__(self, notebook: Notebook, workspace: Workspace) -> None:
        self._notebook, self._workspace = notebook, workspace

    def satisfied_keys(self, resolved: Iterable[ResolvedSpec]) -> frozenset[str]:
        """Return the recipe keys of these runs that need no generation, each asked for in its own environment.

        They are those of images that exist, and those whose batches ran out of memory earlier and whose images exist at
        a smaller batch size: they will not fit again, and be linked then.
        """
        runs: dict[int, list[ResolvedSpec]] = {}
        for one in resolved:
            runs.setdefault(id(one.environment), []).append(one)
        satisfied: set[str] = set()
        for its in runs.values():
            keys, environment = [key for run in keys_of(its) for key in run], its[0].environment
            smaller = self._notebook.images_by_requested_key(keys, environment)
            satisfied.update(self._by_recipe_key(keys, environment))
            satisfied.update(key for key, image in smaller.items() if self._is_there(image))
        return frozenset(satisfied)

    def is_whole(self, run: RunRecord) -> bool:
        """Say whether every image of ``run`` is made and its file there."""
        return run.complete and all(map(self._is_there, run.images))

    def link(self, run: RunRecord, environment: Environment) -> RunRecord:
        """Return ``run`` linked to what exists of it; what it had made and lost is owed again."""
        lost = [image.position for image in run.made if not self._is_there(image)]
        if lost:
            run = self._notebook.owe_images(run.id, lost)
        owed = run.owed
        there = self._by_recipe_key([image.recipe_key for image in owed], environment)
        earlier = {image.position: there[image.recipe_key] for image in owed if image.recipe_key in there}
        return self._notebook.link_images(run.id, earlier) if earlier else run

    def _by_recipe_key(self, keys: Sequence[str], environment: Environment) -> dict[str, ImageRecord]:
        found = self._notebook.images_by_recipe_key(keys, environment)
        return {key: image for key, image in found.items() if self._is_there(image)}

    def _is_there(self, image: ImageRecord) -> bool:
        return image.path is not None and (self._workspace.root / image.path).is_file()
