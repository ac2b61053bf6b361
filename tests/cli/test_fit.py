"""The answer to whether a model will run here, in words."""

from promptlab.cli.render.fit import fit_lines, fit_pairs
from promptlab.plan.memory import FitReport, MemoryNeed, WayToFit

GIB = 2**30
NEED = MemoryNeed(weights=33 * GIB, work=2 * GIB)
PARTS = (("transformer", 23 * GIB), ("text_encoder", GIB // 8), ("text_encoder_2", 9 * GIB), ("vae", GIB // 6))


def test_fit_lines_name_what_to_type():
    """What it takes, what there is, each way with what it then takes, and the download beside the free disk."""
    ways = (
        WayToFit(changes=(("offload", "model"), ("quantization", "int8")), need=MemoryNeed(weights=12 * GIB, work=GIB)),
        WayToFit(changes=(("vae_tiling", True),), need=MemoryNeed(weights=14 * GIB, work=GIB)),
    )
    report = FitReport(
        device="cuda:0",
        available=16 * GIB,
        parts=PARTS,
        need=NEED,
        fits=False,
        ways=ways,
        absent=31 * GIB,
        disk=90 * GIB,
    )
    memory = "about 35.0 GiB of 16.0 GiB on cuda:0: does not fit (an estimate: transformer 23.0 GiB, "
    assert fit_lines("org/model", report) == [
        "org/model will run here with fewer bits or more time",
        f"  memory       {memory}text_encoder_2 9.0 GiB, work 2.0 GiB)",
        "  fits with    --offload model --quantization int8: about 13.0 GiB",
        "  or with      --vae-tiling: about 15.0 GiB",
        "  to download  31.0 GiB; 90.0 GiB are free on the disk",
        "  cuda:0 has 16.0 GiB to give",
    ]


def test_fit_pairs_of_what_fits_are_one_line():
    """A plan says no more of it than that; where nothing would help, that is said."""
    fits = FitReport(device="cpu", available=64 * GIB, parts=PARTS, need=NEED, fits=True)
    ((name, said),) = fit_pairs(fits)
    assert (name, said.partition(" (")[0]) == ("memory", "about 35.0 GiB on cpu: fits")
    hopeless = FitReport(device="cpu", available=GIB, parts=PARTS, need=NEED, fits=False)
    assert fit_lines("org/model", hopeless)[0] == "org/model will not fit here"
    assert fit_pairs(hopeless)[1][1].startswith("nothing that is known")


def test_plan_without_words_says_whether_the_model_runs_here(promptlab, monkeypatch):
    """No prompt is asked for, and nothing is made."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    said = promptlab("plan", "--model", "mini", "--device", "cpu", "--size", "64")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("mini will run here\n  memory       about ")
    assert " on cpu: fits (an estimate: text_encoder " in said.out
