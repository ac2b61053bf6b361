"""What votes and stars come to: which pictures are compared, by what, and which two are shown next."""

import dataclasses

import pytest

from promptlab.errors import InputError, UnknownValue
from promptlab.lab.preferences.leaderboard import Stars, best, contender, next_pair
from promptlab.specs import (
    CallSpec,
    Embedding,
    Lora,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    options,
    setting_key,
)
from promptlab.store.rated_images import RatedImage, RatedImages, RatedSetting, Vote

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini", dtype="float32"),
    call=CallSpec(num_inference_steps=20, guidance_scale=7.5, height=32, width=32),
    variants=(Variant(prompt=""),),
    seeds=(0,),
    batch_size=4,
)
KARRAS = SchedulerSpec(name="Euler", options=options({"use_karras_sigmas": True}))
DIFFERENCES = {
    "height": 64,
    "clip_skip": 1,
    "guidance_rescale": 0.7,
    "guidance_until": 0.4,
    "true_cfg_scale": 4.0,
    "quantization": "int8",
    "text_encoder_quantization": "nf4",
    "variation_seed": 7,
    "arguments": options({"eta": 0.5}),
    "scheduler": KARRAS,
    "loras": (Lora(name="ink", identity="sha256:3"),),
    "embeddings": (Embedding(name="cat", identity="sha256:4"),),
    "weighting": True,
    "generator_device": "cuda",
    "dtype": "float16",
    "num_inference_steps": 21,
    "guidance_scale": 7.0,
}
"""Of two settings, everything that a picture shows and a setting key knows; the identity of weights beside it."""


def picture(source, *, seed=0, prompt="a fox", stars=None, run_id=1, values=(), negative="", **changes):
    """A picture, and its setting."""
    name = changes.pop("scheduler", "Euler")
    setting = rated(scheduler=SchedulerSpec(name=name) if isinstance(name, str) else name, **changes)
    about = {"model_identity": setting.model_identity, "vae_identity": setting.vae_identity}
    one = RatedImage(
        source=source, run_id=run_id, position=source, seed=seed, path=None, stars=stars, prompt=prompt, label=prompt,
        negative_prompt=negative, setting_key=setting_key(setting.spec, **about), sweep_values=values,
    )  # fmt: skip
    return one, setting


def rated(model_identity="commit:1", vae_identity=None, **changes):
    return RatedSetting(spec=SPEC.vary(**changes), model_identity=model_identity, vae_identity=vae_identity)


def said(*pictures, votes=()):
    return RatedImages(
        images={one.source: one for one, _ in pictures}, votes=tuple(votes),
        settings={one.setting_key: setting for one, setting in pictures},
    )  # fmt: skip


def votes_between(by, first, second):
    """How many votes come of two pictures, one with more stars than the other."""
    return best(by, said(picture(1, stars=5, **first), picture(2, stars=1, **second))).ranking.votes


@pytest.mark.parametrize(("by", "differs"), [("word", "prompt"), ("variant", "prompt"), ("seed", "seed")])
@pytest.mark.parametrize("name", [*DIFFERENCES, "model_identity", "vae_identity", "negative"])
def test_best_by_words_or_seed_compares_what_differs_in_nothing_else(by, differs, name):
    """Two words, wordings or seeds of one setting give a vote; of two settings none."""
    other = {"prompt": {"prompt": "an owl"}, "seed": {"seed": 1}}[differs]
    assert votes_between(by, {}, other) == 1
    also = {**DIFFERENCES, "model_identity": "commit:2", "vae_identity": "sha256:2", "negative": "blurry"}[name]
    expected = 1 if (by, name) == ("variant", "negative") else 0  # the wording is all that is said in it
    assert votes_between(by, {}, {**other, name: also}) == expected


@pytest.mark.parametrize("name", [*DIFFERENCES, "model_identity", "negative", "prompt", "seed"])
def test_best_by_setting_compares_what_differs_in_nothing_else(name):
    """Two numbers of steps give a vote; beside another difference none."""
    also = {**DIFFERENCES, "model_identity": "commit:2", "negative": "blurry", "prompt": "an owl", "seed": 1}[name]
    assert votes_between("vae", {}, {"vae": "other", "vae_identity": "sha256:2"}) == 1
    assert votes_between("vae", {}, {"vae": "other", "vae_identity": "sha256:2", name: also}) == 0


@pytest.mark.parametrize(
    ("by", "first", "second", "shown"),
    [
        ("scheduler", {}, {"scheduler": KARRAS}, {"Euler", "Euler:use_karras_sigmas=true"}),
        ("steps", {}, {"num_inference_steps": 30}, {"20", "30"}),
        ("num_inference_steps", {}, {"num_inference_steps": 30}, {"20", "30"}),
        ("guidance", {}, {"guidance_scale": 3.0}, {"7.5", "3"}),
        ("size", {}, {"height": 64}, {"32x32", "32x64"}),
        ("height", {}, {"height": 64}, {"32", "64"}),
        ("dtype", {}, {"dtype": "float16"}, {"float32", "float16"}),
        ("clip_skip", {}, {"clip_skip": 1}, {"none", "1"}),
        ("weighting", {}, {"weighting": True}, {"none", "compel"}),
        ("guidance_rescale", {}, {"guidance_rescale": 0.7}, {"none", "0.7"}),
        ("lora", {}, {"loras": (Lora(name="ink", weight=0.8),)}, {"none", "ink:0.8"}),
        ("vae", {}, {"vae": "other", "vae_identity": "sha256:2"}, {"default", "other"}),
        ("model", {}, {"model": "m2", "model_identity": "commit:2", "variant": "fp16"}, {"mini", "m2"}),
        ("revision", {}, {"revision": "old", "model_identity": "commit:2"}, {"default", "old"}),
    ],
)
def test_best_by_setting_shows_its_values(by, first, second, shown):
    """Every setting that a picture shows can be asked about, by any of its names; weights go with their name."""
    found = best(by, said(picture(1, stars=5, **first), picture(2, stars=1, **second)))
    assert ({one.name for one in found.ranking.standings}, found.ranking.votes) == (shown, 1)


def test_best_by_revision_compares_one_model():
    """Another model has other revisions."""
    other = {"revision": "old", "model_identity": "commit:2"}
    assert votes_between("revision", {}, {**other, "model": "m2"}) == 0


@pytest.mark.parametrize("by", ["steps", "word", "seed"])
def test_best_compares_across_batch_sizes_and_machines(by):
    """No viewer means them: a run of one image has another batch size than one of eight."""
    other = {"steps": {"num_inference_steps": 30}, "word": {"prompt": "an owl"}, "seed": {"seed": 1}}[by]
    assert votes_between(by, {}, {**other, "batch_size": 1, "vae_slicing": True, "device": "cuda:1"}) == 1


@pytest.mark.parametrize("by", ["batch_size", "generator_device", "device", "exact", "prompts", "negative"])
def test_best_by_what_no_picture_shows_is_refused(by):
    """Nobody can like it better."""
    with pytest.raises(UnknownValue, match=f"'{by}' is unknown.*allowed: model, revision, "):
        best(by, said())


def test_best_counts_votes_whatever_else_their_pictures_differ_in():
    """Somebody saw both."""
    pictures = picture(1, num_inference_steps=30), picture(2, guidance_scale=3.0)
    vote = Vote(winner=1, loser=2, tie=False)
    assert best("steps", said(*pictures, votes=[vote])).ranking.votes == 1


def test_stars_of_one_seed_and_prompt_count_as_votes():
    """Of two pictures that differ in the scheduler only, more stars are a vote; other seeds and words say nothing."""
    pairs = [
        picture(2 * seed + half, seed=seed, scheduler=("Euler", "PNDM")[half], stars=(5, 3)[half])
        for seed in range(12)
        for half in (0, 1)
    ]
    elsewhere = [picture(100, seed=99, scheduler="UniPC", stars=5), picture(101, prompt="an owl", stars=1)]
    found = best("scheduler", said(*pairs, *elsewhere))
    assert (found.ranking.winner, found.ranking.votes) == ("Euler", 12)
    assert {name: (one.mean, one.rated) for name, one in found.stars.items()} == {
        "Euler": ((12 * 5 + 1) / 13, 13), "PNDM": (3.0, 12), "UniPC": (5.0, 1),
    }  # fmt: skip


def test_stars_of_many_pictures_weigh_as_their_independent_comparisons():
    """Of n rated pictures of one seed, n-1 comparisons are independent: so much they weigh together."""
    pictures = [picture(number, scheduler=f"S{number}", stars=number + 1) for number in range(5)]
    assert best("scheduler", said(*pictures)).ranking.votes == pytest.approx(4)


def test_best_by_unknown_field_names_the_nearest():
    """One line, with the nearest of what can be asked about."""
    with pytest.raises(UnknownValue, match=r"by 'schedulers' is unknown \(did you mean scheduler\?\)"):
        best("schedulers", said())


def test_next_pair_is_of_one_seed_and_never_asked_twice():
    """Every pair of other contenders at the same seed comes once, those that met least first."""
    pictures = [
        picture(10 * seed + number, seed=seed, prompt=prompt)
        for seed in (0, 1)
        for number, prompt in enumerate(("red", "blue", "green"))
    ]
    names = {one.source: contender(one, runs=1, variants=3) for one, _ in pictures}
    given, asked = [], []
    while pair := next_pair(said(*pictures, votes=given), names):
        assert pair[0].seed == pair[1].seed
        asked.append(frozenset(names[one.source] for one in pair))
        given.append(Vote(winner=pair[0].source, loser=pair[1].source, tie=False))
    assert len(asked) == 6
    assert len(set(asked[:3])) == len(set(asked)) == 3


def test_contender_is_named_by_what_differs():
    """Axis values in a sweep, the run's number beside other runs, the wording where there are several."""
    one, _ = picture(1, values=(("steps", "20"),))
    assert contender(one, runs=2, variants=1) == "20"
    assert contender(one, runs=2, variants=2) == "20 · a fox"
    assert contender(picture(1)[0], runs=1, variants=2) == "a fox"
    assert contender(picture(1, run_id=4)[0], runs=2, variants=1) == "run 4"


def scored(pair, value, by="some/model"):
    """The picture of ``pair`` with a score."""
    one, setting = pair
    return dataclasses.replace(one, score=value, scored_by=by), setting


def test_best_by_score_counts_scores_and_neither_stars_nor_votes():
    """Of two schedulers at the same seeds the one that scored higher leads, whoever liked the other; means stand by."""
    pairs = []
    for seed in range(12):
        pairs.append(scored(picture(2 * seed, seed=seed, stars=1), 21.0 + seed))
        pairs.append(scored(picture(2 * seed + 1, seed=seed, stars=5, scheduler="Heun"), 20.5 + seed))
    votes = [Vote(winner=1, loser=0, tie=False)]
    found = best("scheduler", said(*pairs, votes=votes), score="pickscore")
    assert (found.ranking.votes, found.ranking.standings[0].name, found.score) == (12, "Euler", "pickscore")
    assert found.stars["Heun"] == Stars(mean=26.0, rated=12)
    assert best("scheduler", said(*pairs, votes=votes)).ranking.standings[0].name == "Heun"


def test_best_by_scores_of_several_models_is_refused():
    """Two CLIP models have two scales: the sentence counts the pictures of each, and says how to have one."""
    pairs = [scored(picture(one, seed=one), 20.0, by="a/b" if one else "c/d") for one in range(3)]
    with pytest.raises(InputError, match=r"a/b \(2 pictures\), c/d \(1 picture\).*score --all score=.clip=a/b"):
        best("seed", said(*pairs), score="clip")
