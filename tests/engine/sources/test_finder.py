"""Models by name: found and told apart before a weight is read, or refused in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from promptlab.engine.sources.catalog import known_models
from promptlab.engine.sources.configuration import read_configuration
from promptlab.engine.sources.files import read_header, read_metadata
from promptlab.engine.sources.finder import SourceFinder, find_model, find_vae
from promptlab.errors import InputError, NotFound, UnknownValue, one_line
from promptlab.specs import PipelineSpec
from tests.engine.folders import write_hub_cache, write_json, write_safetensors

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_model_identity_of_a_copy_is_equal(copy_of_mini):
    """Identity is over names and contents of what is read, so a copy elsewhere is the same model."""
    bundled, copy = find_model("mini"), find_model(str(copy_of_mini()))
    assert (bundled.name, bundled.kind, copy.kind) == ("mini", "bundled", "folder")
    assert bundled.identity == copy.identity
    assert bundled.identity.startswith("sha256:")
    assert len(bundled.identity) == 71


def test_model_identity_changes_with_what_is_read(copy_of_mini):
    """A changed configuration is another model; a note or a picture beside the weights is not."""
    folder = copy_of_mini()
    before = find_model(str(folder)).identity
    (folder / "README.md").write_text("notes")
    (folder / "unet" / "preview.png").write_bytes(b"")
    assert find_model(str(folder)).identity == before
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    write_json(folder / "scheduler" / "scheduler_config.json", {**config, "beta_end": 0.013})
    assert find_model(str(folder)).identity != before


def test_model_relative_folder_becomes_absolute(copy_of_mini, monkeypatch):
    """A rerun from another folder finds the model again."""
    folder = copy_of_mini()
    monkeypatch.chdir(folder.parent)
    source = find_model("./model")
    assert source.name == str(folder)
    assert find_model(source.name) == source


@pytest.mark.parametrize(
    "name",
    ["nonsense", "./nowhere", "a/b/c", "/no/such/folder", "nothing.safetensors", "../x/y", "", "x" * 5000, "~nobody/x"],
)
def test_model_unknown_is_refused(name):
    """What is neither a file, a folder, a Hub id nor bundled does not exist, and the four are named."""
    with pytest.raises(NotFound) as caught:
        find_model(name)
    assert str(caught.value) == (
        f"model '{one_line(name, limit=120)}' does not exist; allowed: a Hub id, a folder, a .safetensors file, "
        "or a bundled model: mini; type: promptlab models"
    )


@pytest.mark.parametrize("offline", [False, True])
def test_hub_model_not_cached_needs_the_network(monkeypatch, offline):
    """Without network, or when told to stay offline, one line says so within seconds."""
    if offline:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match=f"model '{SD}' is neither a folder here nor in the Hub cache, and the Hub cannot be"
    ):
        find_model(SD)


@pytest.mark.parametrize(
    ("file", "kept", "said"),
    [
        ("unet/diffusion_pytorch_model.safetensors", 3_000, "is no safetensors file"),
        ("unet/diffusion_pytorch_model.safetensors", 200_000, "is cut short"),
        ("unet/config.json", 9, "cannot be read"),
    ],
)
def test_hub_model_damaged_in_the_cache_names_the_file_and_its_download(mini, tmp_path, file, kept, said):
    """A download that was broken off, or a full disk, is found before anything is begun, and mended by one command."""
    broken = write_hub_cache(tmp_path / "hub", SD, mini) / file
    data = broken.read_bytes()[:kept]
    broken.unlink()
    broken.write_bytes(data)
    with pytest.raises(InputError, match=f"model '{SD}' is damaged in the Hub cache: .*{said}.*") as caught:
        find_model(SD)
    assert str(caught.value).endswith(f"type: hf download {SD} --force-download")
    assert "\n" not in str(caught.value)


def test_hub_model_cached_needs_no_network(mini, tmp_path):
    """The cache needs no network, and the commit is the identity."""
    snapshot = write_hub_cache(tmp_path / "hub", SD, mini)
    source = find_model(SD)
    assert (source.kind, source.identity, source.revision) == ("hub", f"commit:{'c' * 40}", "c" * 40)
    assert source.folder == snapshot
    assert source.absent == ()


def test_hub_revision_resolved_finds_the_same_commit(mini, copy_of_mini, tmp_path):
    """Branches move; a commit stays what it was."""
    write_hub_cache(tmp_path / "hub", SD, mini, commit="a" * 40, branch="main")
    write_hub_cache(tmp_path / "hub", SD, copy_of_mini(), commit="b" * 40, branch="next")
    assert find_model(SD, "next").revision == "b" * 40
    assert find_model(SD, "a" * 40).revision == "a" * 40
    with pytest.raises(InputError, match=f"'{SD} at v2' is neither a folder here nor in the Hub cache"):
        find_model(SD, "v2")


def test_hub_cache_without_weights_is_refused(copy_of_mini, tmp_path):
    """An interrupted download is not loaded as if it were whole."""
    folder = copy_of_mini()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    write_hub_cache(tmp_path / "hub", SD, folder)
    with pytest.raises(InputError, match=f"'{SD}' is in the Hub cache only in part, .*; type: hf download {SD}, once"):
        find_model(SD)


def test_model_with_pickled_weights_only_is_refused(copy_of_mini):
    """Loading a pickle runs any program inside, so such a model is refused unopened."""
    folder = copy_of_mini()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(InputError) as caught:
        find_model(str(folder))
    assert str(caught.value) == (
        f"model '{folder}' has only pickled weights in unet, which may hold programs; "
        "allowed: safetensors weights, or allow_pickle; type: allow_pickle if you trust whoever made it"
    )


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt"])
def test_checkpoint_pickled_is_refused(tmp_path, suffix):
    """The same holds for a checkpoint in one file, for models and for VAEs."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x80\x04")
    for find, option in ((find_model, "model"), (find_vae, "vae")):
        with pytest.raises(
            InputError,
            match=f"{option} '.*' is pickled, which may hold a program; allowed: .*; type: allow_pickle if you trust",
        ):
            find(str(path))


def test_folder_of_pickled_checkpoints_is_refused(tmp_path):
    """A folder that holds nothing else than a .ckpt is said to be pickled, not to lack an index."""
    (tmp_path / "v1.ckpt").write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match=r"v1\.ckpt' is pickled"):
        find_model(str(tmp_path))


def test_folder_without_index_is_refused(tmp_path):
    """An empty folder is told from a model."""
    with pytest.raises(
        InputError, match=r"has no model_index\.json, so it is no diffusers model; allowed: a Hub id, a folder"
    ):
        find_model(str(tmp_path))


def test_model_index_damaged_is_refused(copy_of_mini):
    """Half a JSON file is one line, not a traceback."""
    folder = copy_of_mini()
    (folder / "model_index.json").write_text("{")
    with pytest.raises(InputError, match=r"model_index.json' cannot be read: .*; allowed: JSON"):
        find_model(str(folder))


def test_weight_variants_unknown_are_refused(copy_of_mini):
    """A variant that is not there is refused with those that are; one that is alone is taken."""
    folder = copy_of_mini()
    with pytest.raises(UnknownValue, match=r"variant 'fp16' is no variant of .*; allowed: none"):
        find_model(str(folder), variant="fp16")
    for path in list(folder.glob("*/*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert find_model(str(folder)).variant == "fp16"
    with pytest.raises(UnknownValue, match=r"variant 'bf16' is no variant of .*; allowed: fp16"):
        find_model(str(folder), variant="bf16")


def test_folder_with_revision_is_refused():
    """Revisions are the Hub's; elsewhere one would be ignored silently."""
    with pytest.raises(InputError, match="revision 'main' means nothing for mini, which does not come from the Hub"):
        find_model("mini", "main")


@pytest.mark.parametrize("own", ["index", "part"])
def test_model_with_own_code_is_refused(copy_of_mini, own):
    """A model that brings Python of its own is refused, whether or not it would be run."""
    folder = copy_of_mini()
    index = json.loads((folder / "model_index.json").read_text())
    if own == "index":
        index["_class_name"] = ["my_pipeline", "MyPipeline"]
    else:
        index["unet"] = ["my_unet", "MyUNet"]
        (folder / "unet" / "my_unet.py").write_text("raise SystemExit")
    write_json(folder / "model_index.json", index)
    with pytest.raises(InputError, match="brings code of its own"):
        read_configuration(folder, "model")


def headed(**tensor):
    """A file that has one tensor in its header, with these changes."""
    plain = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **tensor}
    header = json.dumps({"x": {name: value for name, value in plain.items() if value != "none"}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


NO_TENSORS = [
    headed(shape="none"), headed(shape=["a"]), headed(shape=[-1]), headed(shape=[2**40, 2**40]), headed(shape=None),
    headed(shape=[0, 2**70]), headed(shape=[1] * 65),
    headed(dtype=[1]), headed(dtype="none"), headed(data_offsets=[]), headed(data_offsets=[0, None]),
    headed(data_offsets={}), (20_004).to_bytes(8, "little") + b"[" * 10_000 + b"]" * 10_004,
]  # fmt: skip


def test_safetensors_damaged_is_refused(tmp_path):
    """Any bytes can carry the suffix; the header tells, and every tensor in it."""
    others = (b"", b"PK\x03\x04 no tensors here at all", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]")
    for at, content in enumerate((*others, *NO_TENSORS)):
        path = tmp_path / f"{at}.safetensors"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is no safetensors file.*; allowed: safetensors weights"):
            read_header(path, "model")


def test_metadata_of_a_damaged_header_is_none(tmp_path):
    """What a header that cannot be read says of its file is nothing, however deep its lists are."""
    header = b'{"__metadata__": {"modelspec.title": "a", "n": 1}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert read_metadata(path) == {"modelspec.title": "a"}
    for content in (b"", b"\xff" * 64, b"[" * 100_000, b"[]", b'{"__metadata__": null}'):
        path.write_bytes(len(content).to_bytes(8, "little") + content)
        assert read_metadata(path) == {}


@pytest.mark.slow
def test_checkpoint_without_cached_config_says_what_to_download(tmp_path):
    """A checkpoint holds no configuration; offline, the one it needs is named, with the command that gets it."""
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "v1.safetensors"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}, path)
    with pytest.raises(InputError) as caught:
        find_model(str(path))
    assert f"'{path}' needs the configuration of {SD}, which is neither a " in str(caught.value)
    assert f"type: hf download {SD} --include '*.json' '*.txt'" in str(caught.value)


@pytest.mark.slow
def test_checkpoint_of_a_vae_is_refused_as_model(mini):
    """A file without a denoiser is told from a checkpoint."""
    with pytest.raises(InputError, match="holds no text-to-image model; allowed: a whole checkpoint; type: vae=FILE"):
        find_model(str(mini / "vae" / "diffusion_pytorch_model.safetensors"))


def test_model_under_a_gguf_is_whole_without_its_denoiser(mini, tmp_path):
    """Its own weights are never downloaded, so that without network nothing is missing; its configuration is read."""
    cached = write_hub_cache(tmp_path / "hub", SD, mini)
    (cached / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    plain, replaced = PipelineSpec(model=SD), PipelineSpec(model=SD, quantization="gguf:a.gguf")
    found = SourceFinder().model_of(replaced)
    assert (found.folder, found.absent) == (cached, ())
    with pytest.raises(InputError, match="is in the Hub cache only in part, and the Hub cannot be reached"):
        SourceFinder().model_of(plain)
    (cached / "unet" / "config.json").unlink()
    with pytest.raises(InputError, match="is in the Hub cache only in part"):
        SourceFinder().model_of(replaced)


def test_known_models_are_bundled_and_cached(mini, tmp_path):
    """The list has the bundled models and the cache's pipelines and autoencoders, and nothing else of it."""
    write_hub_cache(tmp_path / "hub", SD, mini)
    write_hub_cache(tmp_path / "hub", "stabilityai/sd-vae-ft-mse", mini / "vae", commit="d" * 40)
    write_hub_cache(tmp_path / "hub", "some/text-model", mini / "text_encoder", commit="e" * 40)
    found = {info.name: info for info in known_models(tmp_path / "hub")}
    assert set(found) == {"mini", "mini-vae-ft", "mini-vae-tiny", SD, "stabilityai/sd-vae-ft-mse"}
    assert (found["mini"].kind, found["mini"].pipeline) == ("bundled", "StableDiffusionPipeline")
    assert (found[SD].kind, found[SD].revision) == ("hub cache", "c" * 40)
    assert found["stabilityai/sd-vae-ft-mse"].pipeline == "AutoencoderKL"
    assert found[SD].size > 10_000_000


def test_known_models_without_cache_are_bundled(tmp_path):
    """A machine that never downloaded anything still has the bundled models, and is asked without torch."""
    code = (
        "import sys; from pathlib import Path; from promptlab.engine.sources.catalog import known_models; "
        f"print([m.name for m in known_models(Path({str(tmp_path / 'none')!r}))], "
        "sorted({'torch', 'diffusers', 'transformers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "['mini', 'mini-vae-ft', 'mini-vae-tiny'] []\n", done.stderr


def test_shards_of_a_part_are_all_read(copy_of_mini):
    """Weights in several shards all count, and so does their index."""
    folder = copy_of_mini()
    before = find_model(str(folder)).identity
    part = folder / "unet"
    (part / "diffusion_pytorch_model.safetensors").rename(part / "diffusion_pytorch_model-00001-of-00002.safetensors")
    write_safetensors(part / "diffusion_pytorch_model-00002-of-00002.safetensors")
    sharded = find_model(str(folder)).identity
    assert sharded != before
    Path(part / "diffusion_pytorch_model-00002-of-00002.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}  ")
    assert find_model(str(folder)).identity != sharded


def test_weights_cut_short_are_refused(copy_of_mini, tmp_path):
    """A download that broke off is found before a run is begun: the header says how long the file is."""
    folder = copy_of_mini()
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1])
    with pytest.raises(
        InputError, match=rf"diffusion_pytorch_model.safetensors' is cut short: .* of its {len(content):,}"
    ):
        find_model(str(folder))
    (tmp_path / "alone.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is cut short"):
        read_header(tmp_path / "alone.safetensors", "loras")


def test_part_that_is_named_and_not_there_is_refused(copy_of_mini):
    """A folder copied without its safety checker would fail when it is loaded, after the run has begun."""
    folder = copy_of_mini()
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").unlink()
    write_json(folder / "model_index.json", {**index, "safety_checker": ["stable_diffusion", "SafetyChecker"]})
    with pytest.raises(InputError, match=r"names a safety_checker \(SafetyChecker\) that is not in its folder"):
        find_model(str(folder))


def test_shard_missing_is_named(copy_of_mini):
    """A copy that broke off is found before anything of it is loaded."""
    folder = copy_of_mini()
    part = folder / "unet"
    (part / "diffusion_pytorch_model.safetensors").rename(part / "diffusion_pytorch_model-00001-of-00003.safetensors")
    write_safetensors(part / "diffusion_pytorch_model-00003-of-00003.safetensors")
    with pytest.raises(InputError, match=r"lacks unet/diffusion_pytorch_model-00002-of-00003.safetensors, one of the"):
        find_model(str(folder))
