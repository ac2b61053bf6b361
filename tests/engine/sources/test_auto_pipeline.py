"""The class that makes images from text is found without importing every pipeline that diffusers has."""

import subprocess
import sys

import pytest

from promptlab.engine.sources.auto_pipeline import read_classes, text_to_image_class


@pytest.mark.slow
def test_text_to_image_class_is_the_one_that_diffusers_takes():
    """For each class of each family, other tasks and decoders included, and for names that are nowhere."""
    from diffusers.pipelines import auto_pipeline

    listed = {kind.__name__ for table in auto_pipeline.SUPPORTED_TASKS_MAPPINGS for kind in table.values()}
    assert len(listed) > 100
    for name in (*sorted(listed), "OmniGenPipeline", "DDPMPipeline", "Nothing", ""):
        expected = auto_pipeline._get_task_class(
            auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING, name, throw_error_if_not_exist=False
        )
        assert text_to_image_class(name) is expected, name


@pytest.mark.slow
@pytest.mark.exhaustive
def test_text_to_image_class_imports_no_other_family():
    """Two hundred pipelines stay where they are."""
    script = (
        "import sys; from promptlab.engine.sources.auto_pipeline import text_to_image_class; "
        "print(text_to_image_class('StableDiffusionPipeline').__name__); "
        "print([name for name in sys.modules if name.startswith('diffusers.pipelines.') "
        "and 'flux' in name or name.endswith('auto_pipeline') and 'promptlab' not in name])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "StableDiffusionPipeline\n[]\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AUTO_TEXT2IMAGE_PIPELINES_MAPPING = {}",
        "AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict([family])\nSUPPORTED_TASKS_MAPPINGS = []",
        "AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict([])\nSUPPORTED_TASKS_MAPPINGS = [OTHER]",
        "def broken(",
    ],
)
def test_read_classes_of_another_module_gives_none(text, tmp_path):
    """Then diffusers itself is asked, however long that takes."""
    module = tmp_path / "auto_pipeline.py"
    module.write_text(text)
    assert read_classes(module) is None
    assert read_classes(tmp_path / "nothing.py") is None


def test_read_classes_leads_from_any_class_to_its_family(tmp_path):
    """The first table that names a class says which family it is of."""
    module = tmp_path / "auto_pipeline.py"
    module.write_text(
        "AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict([('fox', FoxPipeline), ('owl', OwlPipeline)])\n"
        "DECODERS = OrderedDict([('fox', FoxDecoder), ('bat', BatDecoder), ('owl', FoxDecoder)])\n"
        "SUPPORTED_TASKS_MAPPINGS = [AUTO_TEXT2IMAGE_PIPELINES_MAPPING, DECODERS]\n"
    )
    assert read_classes(module) == {
        "FoxPipeline": "FoxPipeline", "OwlPipeline": "OwlPipeline", "FoxDecoder": "FoxPipeline",
    }  # fmt: skip
