"""A process that runs and resumes in children which may be killed at any moment: ``victim.py ENGINE FOLDER``.

Each line on standard input is a verb, ``run`` or ``resume``, and a folder. A child is forked that carries it out; its
number is printed when it starts, its exit code when it ends. The parent makes one run by the painter, in ``FOLDER``,
before it forks: so all that a run imports is there, and a child is killed in its work and not in its imports. Torch
works in children alone, its threads would not survive the fork.
"""

import os
import sys

from promptlab.lab import Lab
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.testing import Painter

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", scheduler=SchedulerSpec(name="EulerAncestralDiscreteScheduler")),
    call=CallSpec(num_inference_steps=3, height=64, width=64),
    variants=(Variant(prompt="a wizard"), Variant(prompt="a pirate")),
    seeds=(0, 1, 2, 3, 4, 5),
    batch_size=2,
)


def engine_of(kind):
    """The painter takes its time, so that there is a moment to be killed in."""
    if kind == "painter":
        return Painter(seconds=0.05)
    from promptlab.engine import create_engine

    return create_engine()


def carry_out(verb, kind, folder):
    lab = Lab(folder, engine=engine_of(kind))
    if verb == "run":
        lab.run(SPEC)
    else:
        lab.resume()


def main():
    kind, scratch = sys.argv[1:]
    carry_out("run", "painter", scratch)
    if kind == "diffusers":
        from diffusers import AutoPipelineForText2Image  # noqa: F401 - likewise

        import promptlab.engine.diffusers_engine

        promptlab.engine.diffusers_engine.DiffusersEngine()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                verb, _, folder = line.rstrip("\n").partition(" ")
                carry_out(verb, kind, folder)
                code = 0
            except KeyboardInterrupt:
                code = 130
            finally:
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
