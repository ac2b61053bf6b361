"""How a machine carries a run out, typed: kept, inherited, switched off again, shown, told, an axis of both."""

import dataclasses
import functools

import pytest

from promptlab.cli.render.warnings import warning_lines


@pytest.mark.mlflow
def test_run_machine_options_are_kept_inherited_and_shown(promptlab, lab):
    """A rerun has what its parent had, unless it says otherwise; diff and MLflow say it."""
    from mlflow import MlflowClient

    assert promptlab("run", "a fox", "--vae-slicing", "--attention-backend", "native", "--exact").code == 0
    run = lab.history.find("1").run
    assert run.spec.machine.said == {"vae_slicing": True, "attention_backend": "native", "exact": True}
    assert promptlab("rerun", "1", "--append", ", red").code == 0
    assert lab.history.find("2").run.spec.machine == run.spec.machine
    assert promptlab("rerun", "1", "--no-vae-slicing", "--prompt", "a dog").code == 0
    assert lab.history.find("3").run.spec.machine.said == {"attention_backend": "native", "exact": True}
    shown = promptlab("show", "1").out
    assert "vae slicing        yes" in shown
    assert "attention backend  native" in shown
    assert "vae_slicing: true → false" in promptlab("diff", "1", "3", "--no-picture").out
    told = MlflowClient(f"sqlite:///{lab.workspace.database}").get_run(run.variants[0].mlflow_run_id)
    assert (told.data.params["vae_slicing"], told.data.params["attention_backend"]) == ("true", "native")
    assert '"vae_slicing"' in lab.workspace.report(1).read_text(encoding="utf-8")


def test_run_switch_typed_both_ways_is_an_axis(promptlab, lab):
    """Typed on and off, beside batch sizes: the tutorial's comparison as a sweep; a rerun is one run."""
    said = promptlab("run", "a fox", "--attention-slicing", "--no-attention-slicing", "--batch-size", "1,2")
    assert "4 runs" in said.out
    assert {lab.notebook.run(one.run_id).spec.machine.attention_slicing for one in lab.history.sweep(1).runs} == {
        True,
        False,
    }
    refused = promptlab("rerun", "1", "--compile", "--no-compile")
    assert "--compile has 2 values; allowed: one in a rerun" in refused.err
    assert (
        "--offload 'disk' is unknown; allowed: model, sequential, group"
        in promptlab("run", "a", "--offload", "disk").err
    )


def test_run_black_and_decoded_again_pictures_are_listed(promptlab, lab):
    """By the summary and by show: which they are, and why one should look."""
    promptlab("run", "a fox", "--seeds", "0-2", "--dtype", "float16")
    run = lab.history.find("1").run
    images = [
        dataclasses.replace(run.images[0], flag="black", decoded_in="float32"),
        dataclasses.replace(run.images[1], flag="nan"),
        dataclasses.replace(run.images[2], decoded_in="float32"),
    ]
    lab.notebook.add_images(1, images)
    said = promptlab("show", "1").out
    assert "look again: 1/0 came out black, decoded again in float32 too\n" in said
    assert "look again: 1/1 came out black: what the VAE gave are no numbers (nan)\n" in said
    assert "decoded again in float32, for in float16 nothing was to be seen: 1/2\n" in said
    assert "it came out black: what the VAE gave are no numbers (nan)" in promptlab("show", "1/1").out
    assert warning_lines(run) == []
    assert "decoded" in promptlab("show", "1/2").out


def test_run_out_of_memory_says_the_smaller_batches(promptlab, monkeypatch):
    """Halved and said so; with --exact refused, in one line with what to type."""
    from promptlab.testing import Painter

    monkeypatch.setattr("promptlab.testing.Painter", functools.partial(Painter, most_rows=2))
    halved = promptlab("run", "a fox", "--seeds", "0-3", "--batch-size", "4")
    assert (halved.code, "4 images" in halved.out) == (0, True)
    assert "out of memory" in halved.out + halved.err
    refused = promptlab("run", "a dog", "--seeds", "0-3", "--batch-size", "4", "--exact")
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert (
        "out of memory at 4 images in one forward, and --exact makes no smaller ones; type: --batch-size 2"
        in refused.err
    )
