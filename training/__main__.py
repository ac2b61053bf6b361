"""``python -m training STAGE``: each stage reads and writes the work folder, and goes on where it was stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from training.everything import ORDER, PARTS, everything
from training.ranks import Ranks, launch

STAGES = ("all", "begin", *ORDER)


def main(arguments: list[str]) -> int:
    """Run one stage, in ``--ranks`` processes where that helps."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--work", type=Path, default=Path(".training"), help="the work folder (default: .training)")
    parser.add_argument("--minutes", type=float, default=10.0, help="the stage's whole budget")
    parser.add_argument(
        "--ranks", type=int, help="processes of one thread each; by default 2 where there are two cores, 1 with a GPU"
    )
    parser.add_argument(
        "--start", type=Path, default=Path("promptlab/models/mini"), help="begin: the pipeline folder to go on from"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="begin: which parts of it (default: all)")
    parser.add_argument(
        "--models", type=Path, default=Path("promptlab/models"), help="export, evaluate, sheets: where the models lie"
    )
    parser.add_argument("--name", default="mini", help="evaluate, sheets: which of them (default: mini)")
    parser.add_argument("--before", help="evaluate: the model whose table stands beside it, evaluated before")
    parser.add_argument("--asked", type=int, default=504, help="evaluate: how many whole descriptions are drawn")
    parser.add_argument("--seeds", type=int, default=50, help="evaluate: seeds that are drawn at four ages")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="evaluate: of the pipeline"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("training/results"), help="evaluate, sheets, curves: where they go"
    )
    parser.add_argument("--pictures", type=int, default=40_000, help="how many are drawn or encoded")
    parser.add_argument("--anew", action="store_true", help="encode: again, since the autoencoder was trained on")
    options = parser.parse_args(arguments)
    options.ranks = 1 if options.stage == "encode" else options.ranks or _ranks()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.stage == "all":
        return everything(options, lambda words: launch(words, 1))
    if options.stage in ALONE:
        ALONE[options.stage](options)
        return 0
    if options.ranks > 1 and "RANK" not in os.environ:
        return launch(arguments, options.ranks)
    ranks = Ranks()
    try:
        _train(options, ranks)
    finally:
        ranks.close()
    return 0


def _ranks() -> int:
    """One with a GPU, else one for each core, two at most: more were not tried."""
    import torch

    return 1 if torch.cuda.is_available() else min(2, os.cpu_count() or 1)


def _begin(options: argparse.Namespace) -> None:
    from training.encoding import begin_from

    begin_from(options.work, options.start, tuple(options.parts or PARTS))


def _render(options: argparse.Namespace) -> None:
    from training.dataset import render_all

    render_all(options.work, options.pictures, os.cpu_count() or 1)


def _captions(options: argparse.Namespace) -> None:
    from training.tokenizer import write_captions

    write_captions(options.work, options.pictures)


def _export(options: argparse.Namespace) -> None:
    from training.export import export

    export(options.work, options.models)


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from training.evaluate import evaluate
    from training.report import compared

    evaluate(
        options.work, options.models, options.name, pictures=options.asked, seeds=options.seeds, dtype=getattr(torch, options.dtype)
    )  # fmt: skip
    text = compared(options.work, options.name, options.before)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "evaluation.md").write_text(text, encoding="utf-8")
    print(text)


def _sheets(options: argparse.Namespace) -> None:
    from training.gallery import draw_sheets

    draw_sheets(options.models / options.name, options.results)


def _curves(options: argparse.Namespace) -> None:
    from training.curves import draw_curves

    print("curves of", ", ".join(draw_curves(options.work, options.results / "curves.png")))


ALONE = {
    "begin": _begin,
    "render": _render,
    "captions": _captions,
    "export": _export,
    "evaluate": _evaluate,
    "sheets": _sheets,
    "curves": _curves,
}
"""Stages that are one process."""


def _train(options: argparse.Namespace, ranks: Ranks) -> None:
    if options.stage == "autoencoder":
        from training.autoencoder import train_autoencoder

        train_autoencoder(options.work, options.minutes, ranks)
    elif options.stage == "encode":
        from training.encoding import encode, forget

        if options.anew:
            forget(options.work)
        encode(options.work, options.pictures, ranks)
    elif options.stage == "denoiser":
        from training.denoiser import train_denoiser

        train_denoiser(options.work, options.minutes, ranks)
    elif options.stage == "reader":
        from training.classifier import train_reader

        train_reader(options.work, options.minutes, ranks)
    else:
        from training import decoder

        stages = {"decoder": decoder.train_decoder, "fine": decoder.train_fine, "tiny": decoder.train_tiny}
        stages[options.stage](options.work, options.minutes, ranks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
