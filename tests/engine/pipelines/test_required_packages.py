"""Packages that a model needs and that are not installed: one line that says which, before weights are read."""

import sys
from types import SimpleNamespace

import pytest

from promptlab.engine.errors import missing_package
from promptlab.engine.pipelines.required_packages import check_arguments, check_packages
from promptlab.engine.sources.configuration import Configuration
from promptlab.errors import MissingPackage
from tests.engine.folders import write_json


@pytest.fixture
def run(promptlab, copy_of_mini, monkeypatch):
    """Type a run of a copy of the bundled model."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    folder = str(copy_of_mini())
    return lambda: (folder, promptlab("run", "a fox", "--model", folder, "--steps", "1", "--device", "cpu"))


def test_package_of_a_tokenizer_missing_is_refused_before_loading(tmp_path, monkeypatch):
    """A processor is only a name where a package of its is not there, or of one that it is made of."""
    from diffusers import StableDiffusionPipeline
    from transformers.utils.import_utils import BACKENDS_MAPPING, DummyObject

    class Absent(metaclass=DummyObject):
        _backends = ("sentencepiece",)

    monkeypatch.setitem(BACKENDS_MAPPING, "sentencepiece", (lambda: False, "{0} needs it"))
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(Absent=Absent))
    named = {"video_processor": {"video_processor_type": "Absent"}}
    write_json(tmp_path / "processor" / "processor_config.json", named)
    parts = {"processor": "WholeProcessor"}
    config = Configuration(pipeline_class="X", parts=parts, scheduler=None, vae=None, denoiser=None)
    with pytest.raises(MissingPackage) as refused:
        check_packages("org/model", config, StableDiffusionPipeline, tmp_path)
    assert refused.value.exit_code == 2
    assert str(refused.value) == (
        "model 'org/model' needs the package sentencepiece, which is not installed; type: pip install sentencepiece"
    )


def test_package_missing_while_loading_is_named(run, monkeypatch):
    """Some say it only there; the sentence is the same."""
    from diffusers import StableDiffusionPipeline

    def absent(*_, **__):
        raise ImportError("CLIPTextModel requires the timm library but it was not found in your environment.")

    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", absent)
    _, said = run()
    assert said.code == 1  # the run has begun
    assert "needs the package timm, which is not installed; type: pip install timm" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.slow
def test_package_of_an_argument_missing_is_refused(monkeypatch):
    """diffusers would leave the prompt as it is, with a warning in a log."""
    import diffusers

    monkeypatch.setattr(diffusers.utils, "is_bs4_available", lambda: False)
    check_arguments("model", diffusers.PixArtSigmaPipeline, [("clean_caption", False)])
    with pytest.raises(MissingPackage, match=r"needs the package beautifulsoup4, .*; type: pip install beautifulsoup4"):
        check_arguments("model", diffusers.PixArtSigmaPipeline, [("clean_caption", True)])


def test_missing_package_is_read_from_errors():
    """Names that are not there, modules that are not there, and sentences; not any error."""
    assert missing_package(ModuleNotFoundError("no", name="google.protobuf")) == "google"
    assert missing_package(ImportError("X requires the Torchvision library but")) == "torchvision"
    assert missing_package(ImportError("cannot import name 'y' from 'x'")) is None
    assert missing_package(NameError("name 'x' is not defined", name="x")) is None
