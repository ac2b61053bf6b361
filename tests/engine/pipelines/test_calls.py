"""Settings that are arguments of a pipeline's call as they are: the table of settings is all that knows them."""

import pytest

from promptlab.engine.pipelines.calls import argument_settings, setting_arguments
from promptlab.engine.pipelines.optional_features import resolve_optional_features
from promptlab.engine.sources.configuration import read_configuration
from promptlab.engine.sources.finder import find_model
from promptlab.errors import InputError
from promptlab.specs import CallSpec

pytestmark = pytest.mark.slow


def resolve(call, kind):
    source = find_model("mini")
    return resolve_optional_features(call, (), kind, read_configuration(source.folder, source.name), source.folder)


@pytest.mark.parametrize("name", argument_settings())
def test_setting_that_is_an_argument_reaches_the_call(name):
    """What a row of the table names is given to the call by that name, where it says anything."""
    field = argument_settings()[name].sets[0]
    assert setting_arguments(CallSpec(**{field: 0.5})) == {name: 0.5}
    assert setting_arguments(CallSpec(guidance_scale=3.0)) == {}


def test_setting_that_is_no_argument_of_the_pipeline_is_refused():
    """Before weights are loaded, by the setting's own name."""
    import diffusers

    call = CallSpec(true_cfg_scale=4.0)
    assert resolve(call, diffusers.FluxPipeline) == call
    sentence = (
        "^true_cfg_scale 4.0 means nothing to StableDiffusionPipeline; allowed: a model that takes true_cfg_scale; "
        "type: the command without true_cfg_scale$"
    )
    with pytest.raises(InputError, match=sentence):
        resolve(call, diffusers.StableDiffusionPipeline)
