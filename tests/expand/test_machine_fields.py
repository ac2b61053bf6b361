"""How a machine carries a run out, in files: switches, names, the batch size that is to be found, and axes of these."""

import pytest

from promptlab.errors import InputError
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.expand.experiment_file.writer import write_experiment
from promptlab.specs import AUTO, MachineSpec, PipelineSpec, RunSpec, Variant


def specs(text):
    made = parse_experiment("prompts: a fox\n" + text, file="fox.yaml")
    return made.sweep(default_model="mini").specs


def test_machine_settings_typed_are_read():
    """On and off as YAML says it, a name, and ``auto`` for a batch size."""
    (spec,) = specs(
        "attention_slicing: true\nvae_tiling: off\noffload: group\nattention_backend: native\nbatch_size: auto"
    )
    assert spec.machine == MachineSpec(attention_slicing=True, offload="group", attention_backend="native")
    assert spec.batch_size == AUTO


def test_machine_switches_typed_both_ways_are_axes():
    """Batch sizes with and without attention slicing; ``auto`` may stand among numbers."""
    made = specs("axes:\n  batch_size: [1, 4, auto]\n  attention_slicing: [false, true]")
    assert [(spec.batch_size, spec.machine.attention_slicing) for spec in made] == [
        (1, False), (1, True), (4, False), (4, True), (AUTO, False), (AUTO, True),
    ]  # fmt: skip
    steps = specs("ladder:\n  - {steps: 10}\n  - {vae_slicing: true}\n  - {vae_slicing: default}")
    assert [spec.machine.vae_slicing for spec in steps] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("compile: maybe", "fox.yaml, line 2, column 10: compile 'maybe' is unknown; allowed: true, false"),
        ("offload: disk", "offload.*'disk' is unknown; allowed: model, sequential, group"),
        ("batch_size: some", "batch_size 'some' is not a whole number; allowed: .* · auto"),
    ],
)
def test_machine_settings_refused_name_their_place(text, sentence):
    """With what is allowed."""
    with pytest.raises(InputError, match=sentence):
        specs(text)


def test_machine_settings_are_written_and_read_back():
    """The file that makes it again says it, and nothing of what was not."""
    machine = MachineSpec(vae_slicing=True, offload="model", channels_last=True, exact=True)
    spec = RunSpec(
        pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a", label="a"),), seeds=(0,), machine=machine
    )
    text = write_experiment(spec)
    assert "vae_slicing: true" in text
    assert "compile" not in text
    (again,) = parse_experiment(text, file="x.yaml").sweep(default_model="mini").specs
    assert again == spec
