"""Registers the prompts of a line of reruns in MLflow's registry: a version for each text, in order.

A line begins with a run that was varied from nothing, and goes on with its reruns and theirs. It is one prompt, called
by the words it began with, so that the list of prompts reads as a list of what one is working on; the same words typed
again are the same line. A version is a text as it was typed, templates with their ``{a|b}`` still in them: four ages of
a chief are one version. The text that was registered is not registered again. ``run-3`` is the alias of what was new in
run 3; ``latest`` is MLflow's own.

MLflow's ``register_prompt`` and ``link_prompt_version_to_run`` are of no use here: one starts a thread that reads the
fluent API's experiment, the other writes to the fluent API's store. What they would do is done with the client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from promptlab.records import RunRecord, VariantRecord
from promptlab.tracking.internals import EXPERIMENT_IDS_TAG, LINK_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import PromptVersion

__all__ = ["MOST", "linked_prompt", "prompt_name", "prompt_text", "register_prompts"]

MOST: Final = 8
"""Texts of one run: a file of fifty prompts is a list, not a line of work, and each would cost its milliseconds."""

_TEXT_TAG: Final = "promptlab.text"
"""Of a version: the hash of its text. Of a prompt: that all of its versions have one."""

_LONGEST_NAME: Final = 60


def prompt_text(variant: VariantRecord) -> str:
    """Return what is registered of a variant: its template as it was typed, or its prompt."""
    return variant.variant.template or variant.variant.prompt


def prompt_name(text: str) -> str:
    """Return ``portrait-photo-of-a-old-warrior-chief``: at most 60 of the signs that MLflow allows."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME + 1].rpartition("-")[0] or name[:_LONGEST_NAME]
    return name if len(name) > 1 else f"prompt-{sha256(text.encode()).hexdigest()[:8]}"


def linked_prompt(client: MlflowClient, existing: Iterable[Run], above: str | None) -> str | None:
    """Return the name of the prompt that a run goes on with: of its own MLflow runs, or its parent's.

    Args:
        existing: the MLflow runs that show it already.
        above: the id of one that shows its parent.
    """
    for one in existing:
        if name := _linked(one):
            return name
    with suppress(Exception):  # a link is a courtesy
        return None if above is None else _linked(client.get_run(above))
    return None


def _linked(mlflow_run: Run) -> str | None:
    with suppress(ValueError, KeyError, TypeError, IndexError):
        return str(json.loads(mlflow_run.data.tags[LINK_TAG])[-1]["name"])
    return None


def register_prompts(
    client: MlflowClient, experiment_id: str, run: RunRecord, *, parent: RunRecord | None, name: str | None
) -> dict[int, str]:
    """See that the run's texts are in the registry, and say how its MLflow runs are linked to them.

    A few milliseconds where all are there already. Whatever fails here is passed over: the words stand in the run, too.

    Args:
        parent: the run that it was varied from.
        name: of the prompt that the parent, or this run when it was recorded before, is linked to.

    Returns:
        By the variant's position, the value of :data:`~promptlab.tracking.internals.LINK_TAG`; empty where nothing is
        linked.
    """
    texts = list(dict.fromkeys(text for text in map(prompt_text, run.variants) if text.strip()))
    if not texts or len(texts) > MOST:
        return {}
    with suppress(Exception):
        name = name or prompt_name(prompt_text((parent or run).variants[0]) or texts[0])
        versions = _Prompt(client, name, experiment_id).versions(texts, run)
        return {
            one.position: json.dumps([{"name": name, "version": str(versions[text])}])
            for one in run.variants
            if (text := prompt_text(one)) in versions
        }
    return {}


def _hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Prompt:
    """Represents one prompt of the registry."""

    client: MlflowClient
    name: str
    experiment_id: str

    def versions(self, texts: Sequence[str], run: RunRecord) -> dict[str, int]:
        """Return the version of each of ``texts``, made where it does not exist."""
        known = self._tagged_versions(texts) if self._ensure_prompt() else self._read_versions()
        fresh = [text for text in texts if text not in known]
        came = f", varied from run {run.parent_run_id}" if run.parent_run_id is not None else ""
        for place, text in enumerate(fresh, 1):
            made = self.client.create_prompt_version(
                self.name,
                text,
                description=f"run {run.id}{came}",
                tags={"promptlab.run": str(run.id), _TEXT_TAG: _hash_of(text)},
            )
            known[text] = int(made.version)
            alias = f"run-{run.id}" if len(fresh) == 1 else f"run-{run.id}-{place}"
            if not self._has_alias(alias):  # on a server, by a run of that number of another workspace
                self.client.set_prompt_alias(self.name, alias, int(made.version))
        return {text: known[text] for text in texts}

    def _has_alias(self, alias: str) -> bool:
        with suppress(Exception):  # MLflow's way to say no
            return self.client.get_prompt_version_by_alias(self.name, alias) is not None
        return False

    def _ensure_prompt(self) -> bool:
        """Create the prompt unless it exists, and list it in the pages of the experiment.

        Returns:
            Whether all of its versions are tagged with the hashes of their texts.
        """
        prompt = self.client.get_prompt(self.name)
        if prompt is None:
            own = {EXPERIMENT_IDS_TAG: f",{self.experiment_id},", _TEXT_TAG: "all"}
            self.client.create_prompt(self.name, tags=own)
            return True
        listed = [one for one in prompt.tags.get(EXPERIMENT_IDS_TAG, "").split(",") if one]
        if self.experiment_id not in listed:
            value = f",{','.join([*listed, self.experiment_id])},"
            self.client.set_prompt_tag(self.name, EXPERIMENT_IDS_TAG, value)
        return bool(prompt.tags.get(_TEXT_TAG) == "all")

    def _tagged_versions(self, texts: Sequence[str]) -> dict[str, int]:
        """Return the first version of each of ``texts`` that has one, as quickly for a long line."""
        found = {}
        for text in texts:
            its = self.client.search_model_versions(
                f"name = '{self.name}' AND tag.`mlflow.prompt.is_prompt` = 'true' "
                f"AND tag.`{_TEXT_TAG}` = '{_hash_of(text)}'",
                max_results=1,
                order_by=["version_number ASC"],
            )
            if its:
                found[text] = int(its[0].version)
        return found

    def _read_versions(self) -> dict[str, int]:
        """Return the first version of each text of a prompt that an earlier PromptLab made, which tagged none."""
        return {str(one.template): int(one.version) for one in reversed(self._all_versions())}

    def _all_versions(self) -> list[PromptVersion]:
        """Return all versions, the newest first."""
        found: list[PromptVersion] = []
        token: str | None = ""
        while token is not None:
            part = self.client.search_prompt_versions(self.name, max_results=100, page_token=token or None)
            found += part
            token = part.token or None
        return found
