"""Names of schedulers: short ones, diffusers' and AUTOMATIC1111's are parsed, others are refused."""

import subprocess
import sys

import pytest

from promptlab.errors import InputError, UnknownValue
from promptlab.specs.schedulers import parse_scheduler


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("dpmsolver++", "DPMSolverMultistepScheduler", {}),
        ("DPM++ 2M Karras", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
        ("dpm++2m", "DPMSolverMultistepScheduler", {}),
        ("DPM++ 2S a", "DPMSolverSinglestepScheduler", {}),
        ("dpm++ 2m sde", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("Euler a", "EulerAncestralDiscreteScheduler", {}),
        ("euler_ancestral", "EulerAncestralDiscreteScheduler", {}),
        ("pndmscheduler", "PNDMScheduler", {}),
        ("UniPCMultistep", "UniPCMultistepScheduler", {}),
        ("PLMS", "PNDMScheduler", {}),
        ("TCDScheduler", "TCDScheduler", {}),
        ("euler:steps_offset=2,timestep_spacing=trailing", "EulerDiscreteScheduler",
         {"steps_offset": 2, "timestep_spacing": "trailing"}),
        ("euler-karras:use_karras_sigmas=false", "EulerDiscreteScheduler", {"use_karras_sigmas": False}),
        ("dpmsolver++: solver_order = 3 , variance_type=none", "DPMSolverMultistepScheduler",
         {"solver_order": 3, "variance_type": None}),
    ],
)  # fmt: skip
def test_scheduler_names_and_options_are_parsed(text, name, options):
    """A scheduler can be named as in diffusers, shortly, or as in AUTOMATIC1111, and options are typed values."""
    spec = parse_scheduler(text)
    assert (spec.name, dict(spec.options)) == (name, options)


def test_scheduler_unknown_is_refused_with_the_nearest():
    """A misspelt scheduler is refused before anything is loaded, and the nearest name is offered."""
    with pytest.raises(UnknownValue, match=r"scheduler 'ueler-a' is unknown \(did you mean euler-a\?\); allowed: dpm"):
        parse_scheduler("ueler-a")


@pytest.mark.parametrize("text", ["euler:karras", "euler:=3", "euler:steps_offset="])
def test_scheduler_option_without_value_is_refused(text):
    """Options are pairs, and half a pair is said to be one."""
    with pytest.raises(InputError, match=r"has an option without a value.*allowed: NAME:key=value"):
        parse_scheduler(text)


def test_scheduler_option_set_twice_is_refused():
    """Of two values for one option none wins silently."""
    with pytest.raises(InputError, match="sets steps_offset twice"):
        parse_scheduler("euler:steps_offset=1,steps_offset=2")


def test_scheduler_parsing_imports_nothing_heavy():
    """Names are checked and completed without torch or diffusers."""
    code = (
        "import sys; from promptlab.specs.schedulers import parse_scheduler; parse_scheduler('euler'); "
        "print(sorted({'torch', 'diffusers', 'numpy', 'transformers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
