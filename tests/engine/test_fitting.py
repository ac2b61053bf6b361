"""Whether a model will run here, from headers and file sizes: nothing is downloaded, nothing is loaded."""

import json
from types import SimpleNamespace

import pytest

from promptlab.engine.fitting import part_weights, report_fit, work_sizes
from promptlab.engine.model_files import ModelFiles, look_up
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.sources.remote_files import check_room
from promptlab.errors import InputError
from promptlab.models import bundled
from promptlab.plan import ResolvedSpec
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from tests.engine.folders import write_hub_cache

COMMIT = "c" * 40


def spec_of(model, **changes):
    return RunSpec(
        pipeline=PipelineSpec(model=model, dtype="float32"), call=CallSpec(height=64, width=64),
        variants=(Variant(prompt="a"),), seeds=(0,), batch_size=1,
    ).vary(**changes)  # fmt: skip


def test_report_counts_the_weights_of_a_folder(mini):
    """Numbers times bytes, part by part, as their headers say: what the files take in float32."""
    report = report_fit(ResolvedSpec(spec=spec_of("mini"), device="cpu", model_identity="sha256:0"))
    sizes = dict(report.parts)
    assert sizes.keys() == {"unet", "vae", "text_encoder"}
    numbers = sum(each.numbers for each in part_weights(look_up(PipelineSpec(model="mini"), SourceFinder())))
    assert sum(sizes.values()) == report.need.weights == 4 * numbers
    assert report.fits
    assert (report.ways, report.absent) == ((), 0)


def test_report_of_what_is_nowhere_is_none():
    """What cannot be found out is no reason to refuse anything."""
    assert report_fit(ResolvedSpec(spec=spec_of("no-such-model"), device="cpu", model_identity="sha256:0")) is None


def test_work_of_a_configuration_without_sense_is_estimated_all_the_same():
    """A patch of no pixels, as nobody trains one, ends no plan."""
    config = Configuration(
        pipeline_class="P", parts={}, scheduler=None, vae=None, denoiser={"patch_size": 0, "num_attention_heads": 2}
    )
    assert work_sizes(config, (64, 32), guided=False).tokens == 64 * 32 + 512


def test_report_of_a_checkpoint_keeps_the_encoders_that_it_holds_as_they_are(tmp_path):
    """They are loaded with the file, so that quantising them would be refused; its denoiser may be."""
    names = ("model.diffusion_model.a.weight", "cond_stage_model.b.weight", "first_stage_model.c.weight")
    header = {name: {"dtype": "F16", "shape": [4, 4], "data_offsets": [0, 32]} for name in names}
    text = json.dumps(header).encode()
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(32))
    source = ModelSource(name=str(file), kind="file", folder=tmp_path, identity="sha256:0", file=file)
    config = Configuration(pipeline_class="P", parts={}, scheduler=None, vae=None, denoiser=None)
    found = {part.name: part for part in part_weights(ModelFiles(source=source, config=config, vae=None))}
    assert {name: part.numbers for name, part in found.items()} == dict.fromkeys(("unet", "text_encoder", "vae"), 16)
    assert (found["unet"].matrices, found["text_encoder"].matrices) == (16, 0)


@pytest.fixture
def hub_model(monkeypatch, tmp_path):
    """A model of the Hub whose configurations are cached and whose weights are not; the Hub tells of them."""
    import huggingface_hub

    home = write_hub_cache(tmp_path / "hub", "org/large", bundled("mini"), COMMIT)
    sizes = {}
    for path in sorted(home.rglob("*.safetensors")):
        sizes[path.relative_to(home).as_posix()] = 10 * 2**30
        path.unlink()

    def info(_, name, *, revision, timeout):
        files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
        return SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename=file) for file in (*files, *sizes)])

    def paths(_, name, files, *, revision):
        return [SimpleNamespace(path=file, size=sizes[file]) for file in files]

    def header(_, name, file, *, revision):
        tensors = {
            "a.weight": SimpleNamespace(dtype="F16", shape=[64, 63]),
            "b": SimpleNamespace(dtype="F16", shape=[64]),
        }
        return SimpleNamespace(tensors=tensors)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    monkeypatch.setattr(huggingface_hub.HfApi, "get_paths_info", paths)
    monkeypatch.setattr(huggingface_hub.HfApi, "parse_safetensors_file_metadata", header)
    return sizes


def test_report_of_a_model_that_is_not_downloaded_asks_the_hub(hub_model):
    """Sizes of files, and the header of one of each part: how many numbers, and how many of them in matrices."""
    report = report_fit(ResolvedSpec(spec=spec_of("org/large"), device="cpu", model_identity="sha256:0"))
    assert report.absent == sum(hub_model.values()) == 30 * 2**30
    assert report.disk is not None
    assert report.need.weights == 2 * report.absent  # stored in float16, held in float32
    (unet,) = (
        each for each in part_weights(look_up(PipelineSpec(model="org/large"), SourceFinder())) if each.is_denoiser
    )
    assert unet.matrices / unet.numbers == pytest.approx(63 / 64)


def test_model_larger_than_the_disk_is_refused(hub_model, monkeypatch):
    """One line with both sizes, before a byte is downloaded."""
    import shutil

    source = look_up(PipelineSpec(model="org/large"), SourceFinder()).source
    check_room(source)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    sentence = (
        r"^model 'org/large' takes 32\.2 GB more, and 1\.0 GB are free where the Hub's cache is; allowed: a smaller"
    )
    with pytest.raises(InputError, match=sentence):
        check_room(source)
