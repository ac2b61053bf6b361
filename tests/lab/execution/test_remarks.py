"""What is said of weights that were left out is kept with every run that is made with them."""

import dataclasses

from promptlab.cli.render.records import show_lines
from promptlab.engine import ModelLoaded
from promptlab.images.report.details import UniqueTexts, run_facts
from promptlab.lab import Lab
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"),
    call=CallSpec(height=64, width=64),
    variants=(Variant(prompt="a fox"),),
    seeds=(0, 1),
)
REMARK = "mini: Some weights of the checkpoint were not used: odd.layer.weight"


class Forgetful(Painter):
    """Leaves weights out, and says so whenever it is asked for something."""

    def _generate(self, requests, going):
        for event in super()._generate(requests, going):
            yield dataclasses.replace(event, remarks=(REMARK,)) if isinstance(event, ModelLoaded) else event


def test_remarks_on_weights_are_kept_with_each_run_and_shown(tmp_path):
    """Also with the second run, whose model was there already."""
    lab = Lab(tmp_path, engine=Forgetful())
    first = lab.run(SPEC)
    second = lab.run(SPEC.vary(num_inference_steps=3))
    assert (first.remarks, second.remarks) == ((REMARK,), (REMARK,))
    assert f"  {REMARK}" in show_lines(first, lab.workspace)
    assert run_facts(first, UniqueTexts())["remarks"] == [REMARK]
