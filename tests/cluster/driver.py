"""A program that makes a run on a cluster, slowly, and says what becomes of its workers.

::

    python -m tests.cluster.driver WORKSPACE ADDRESS IMAGES [DATABASE]
"""

import sys
from functools import partial

from promptlab.cluster import RayEngine
from promptlab.cluster.worker_sentences import worker_sentence
from promptlab.engine import DevicesDiffer, WorkerLost, WorkerRefused
from promptlab.lab import Lab
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter


def watch(event):
    if isinstance(event, WorkerLost | WorkerRefused | DevicesDiffer):
        print(worker_sentence(event), file=sys.stderr, flush=True)


def main(workspace, address, images, database=None):
    engine = RayEngine(workers=2, cluster=address, make_engine=partial(Painter, seconds=0.1))
    spec = RunSpec(
        pipeline=PipelineSpec(model="mini"), call=CallSpec(height=32, width=32), variants=(Variant(prompt="a fox"),),
        seeds=tuple(range(int(images))),
    )  # fmt: skip
    try:
        Lab(workspace, database=database, engine=engine).run(spec, watch=watch)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
