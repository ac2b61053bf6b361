"""Settings that are arguments of a pipeline's call as they are: the table of settings is all that knows them."""

from dataclasses import dataclass, replace
from types import MappingProxyType

import pytest

from promptlab.engine.pipelines.calls import setting_arguments
from promptlab.engine.pipelines.optional_features import resolve_optional_features
from promptlab.engine.sources.configuration import read_configuration
from promptlab.engine.sources.finder import find_model
from promptlab.errors import InputError
from promptlab.specs import CallSpec, settings

pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class NewCall(CallSpec):
    """A call with a field that is new; it is named as no argument of today is set."""

    true_cfg_scale: float | None = None


@pytest.fixture
def new_row(monkeypatch):
    """A row for it, and nothing else."""
    row = replace(
        settings.SETTINGS["guidance_rescale"], name="true_cfg_scale", sets=("true_cfg_scale",),
        argument="true_cfg_scale", maximum=None,
    )  # fmt: skip
    rows = {name: each for name, each in settings.SETTINGS.items() if each.argument != "true_cfg_scale"}
    monkeypatch.setattr(settings, "SETTINGS", MappingProxyType({**rows, row.name: row}))


def resolve(call, kind):
    source = find_model("mini")
    return resolve_optional_features(call, (), kind, read_configuration(source.folder, source.name), source)


def test_setting_that_is_an_argument_reaches_the_call(new_row):
    """What a row names is given to the call by that name, where it says anything."""
    assert setting_arguments(NewCall(guidance_rescale=0.5)) == {"guidance_rescale": 0.5}
    assert setting_arguments(NewCall(true_cfg_scale=4.0)) == {"true_cfg_scale": 4.0}


def test_setting_that_is_no_argument_of_the_pipeline_is_refused(new_row):
    """Before weights are loaded, by the setting's own name."""
    import diffusers

    call = NewCall(true_cfg_scale=4.0)
    assert resolve(call, diffusers.FluxPipeline) == call
    sentence = (
        "^true_cfg_scale 4.0 means nothing to StableDiffusionPipeline; allowed: a model that takes true_cfg_scale; "
        "type: the command without true_cfg_scale$"
    )
    with pytest.raises(InputError, match=sentence):
        resolve(call, diffusers.StableDiffusionPipeline)
