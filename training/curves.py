"""The training's curves, from the lines of losses: one panel a stage."""

from __future__ import annotations

from pathlib import Path

from training.losses import read_losses

__all__ = ["STAGES", "draw_curves"]

STAGES = {
    "autoencoder": "mse",
    "denoiser": "v_error",
    "decoder": "mse",
    "fine": "mse",
    "tiny": "loss",
    "reader": "loss",
}


def draw_curves(work: Path, path: Path) -> list[str]:
    """Write a PNG with the curves of the stages that have run; their names."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ran = {stage: rows for stage in STAGES if (rows := read_losses(work, stage))}
    figure, panels = plt.subplots(1, max(1, len(ran)), figsize=(3.4 * max(1, len(ran)), 2.8), squeeze=False)
    for panel, (stage, rows) in zip(panels[0], ran.items(), strict=False):
        panel.plot([row["seconds"] / 60 for row in rows], [row[STAGES[stage]] for row in rows], color="#2a5db0")
        panel.set(title=stage, xlabel="minutes", ylabel=STAGES[stage].replace("_", " "), yscale="log")
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return list(ran)
