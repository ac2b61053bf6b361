"""Noise, guidance, layers and weights of words: what each promises, and the same bytes in any company."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from promptlab.engine.pipelines.denoising_steps import guided_steps
from promptlab.engine.sampling.pipeline_call import _copied, generator_of
from promptlab.engine.sampling.variation_noise import initial_latents, slerp
from promptlab.engine.text.prompt_encoding import encode, encode_pair, pad_to_longest
from promptlab.errors import InputError
from promptlab.plan import plan, requests_of
from promptlab.specs import CallSpec, Embedding, SchedulerSpec
from tests.engine.drawing import draw, resolve
from tests.engine.tiny import save_tiny, tiny_encoder

LONG = ", ".join(["a red circle over a blue square"] * 20)
ANCESTRAL = SchedulerSpec(name="EulerAncestralDiscreteScheduler")


@pytest.fixture(scope="module")
def make(engine):
    """Spec → the hash of each of its pictures, in the grid's order; of those at ``some`` places alone, in their order,
    if any."""

    def hashes(spec, some=None):
        tasks = requests_of(resolve(engine, spec))
        wanted = tasks if some is None else [tasks[place] for place in some]
        made = {each.request.id: hashlib.sha256(each.pixels.tobytes()).hexdigest() for each in draw(engine, wanted)}
        return [made[task.id] for task in wanted]

    return hashes


@pytest.fixture(scope="module")
def pipeline(mini):
    """The bundled model in float32, apart from the engine's."""
    import torch
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(mini, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def task_of(make_spec, **changes):
    from promptlab.testing import Painter

    return requests_of(resolve(Painter(), make_spec(**changes)))[0]


@pytest.mark.slow
def test_copy_of_a_pipeline_knows_its_device_and_is_of_its_class(pipeline, make_spec):
    """It need not look for it in every layer; the pipeline that was handed in stays as it was."""
    kind, parts = type(pipeline), dict(vars(pipeline))
    task = task_of(make_spec, device="cpu")
    copy = _copied(pipeline, task, generator_of(task))
    assert copy._execution_device == pipeline._execution_device
    assert isinstance(copy, kind)
    assert (type(copy).__name__, type(copy).__module__) == (kind.__name__, kind.__module__)
    assert (type(pipeline), vars(pipeline)) == (kind, parts)
    assert copy.scheduler is not pipeline.scheduler


@pytest.mark.slow
def test_variation_of_strength_0_or_1_is_one_of_the_two_seeds(make, make_spec):
    """To the byte, at both ends; in between it is neither. A sampler that draws noise of its own goes on with the
    seed's, in the state that plain noise leaves."""
    spec = make_spec("a red circle", seeds=(0, 7), num_inference_steps=1)
    plain = make(spec)
    assert make(spec.vary(variation_seed=7, variation_strength=0.0)) == plain
    assert make(spec.vary(variation_seed=7, variation_strength=1.0)) == [plain[1], plain[1]]
    assert not set(make(spec.vary(variation_seed=7, variation_strength=0.5), [0])) & set(plain)
    drawing = spec.vary(scheduler=ANCESTRAL, num_inference_steps=2)
    assert make(drawing.vary(variation_seed=9, variation_strength=0.0)) == make(drawing)


@pytest.mark.slow
def test_initial_latents_are_what_the_pipeline_draws(pipeline, make_spec):
    """``[1, channels, height, width]``, equal to diffusers' own, whose generator is left alike."""
    import torch

    task = task_of(make_spec, device="cpu")
    own, theirs = generator_of(task), generator_of(task)
    latents = initial_latents(task, pipeline, own)
    drawn = pipeline.prepare_latents(
        1, pipeline.unet.config.in_channels, 64, 64, torch.float32, torch.device("cpu"), theirs
    )
    assert torch.equal(latents * pipeline.scheduler.init_noise_sigma, drawn)
    assert torch.equal(own.get_state(), theirs.get_state())
    varied = task_of(make_spec, variation_seed=3, variation_strength=0.3)
    kept = generator_of(varied)
    assert not torch.equal(initial_latents(varied, pipeline, kept), latents)
    assert torch.equal(kept.get_state(), own.get_state())


def test_slerp_of_two_noises_is_noise():
    """On the great circle between them: as long as they are, and as far along as asked. One noise twice is itself."""
    import torch

    one, other = (torch.randn(1, 5, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert slerp(0, one, other) is one
    assert slerp(1, one, other) is other
    angle = torch.arccos((one * other).sum() / (one.norm() * other.norm()))
    for strength in (0.2, 0.5):
        mixed = slerp(strength, one, other)
        share = torch.arccos((one * mixed).sum() / (one.norm() * mixed.norm())) / angle
        assert abs(float(share) - strength) < 0.02
        assert abs(float(mixed.std()) - 1) < 0.1
    assert float(torch.lerp(one, other, 0.5).std()) < 0.8  # what a straight mix would lose
    torch.testing.assert_close(slerp(0.5, one, one), one)
    assert slerp(0.5, one.half(), other.half()).dtype is torch.float16


@pytest.mark.slow
def test_guidance_until_a_share_stops_after_it(make, make_spec):
    """All steps is as if nothing were said, none is a picture without guidance; in between, all are other pictures."""
    spec = make_spec("a red circle", num_inference_steps=4)
    made = {until: make(spec.vary(guidance_until=until)) for until in (0.0, 0.5, 1.0)}
    assert made[1.0] == make(spec)
    assert made[0.0] == make(spec.vary(guidance_scale=1.0))
    assert len({picture for each in made.values() for picture in each}) == 3
    unguided = spec.vary(guidance_scale=1.0)
    assert make(unguided.vary(guidance_until=0.5)) == make(unguided)  # there is nothing to drop


@pytest.mark.parametrize(
    ("until", "steps", "guided"),
    [(None, 20, 20), (1.0, 20, 20), (0.4, 20, 8), (0.55, 20, 11), (0.29, 100, 29), (0.5, 3, 1), (0.1, 5, 1),
     (0.0, 5, 0)],
)  # fmt: skip
def test_guided_steps_are_rounded_down(until, steps, guided):
    """0.55 of 20 is 11 whatever floats make of it; any share above 0 is at least one step."""
    call = CallSpec(guidance_scale=5.0, guidance_until=until)
    assert guided_steps(steps, call) == guided


@pytest.mark.slow
def test_clip_skip_is_the_formula_of_diffusers(pipeline):
    """``hidden_states[-(clip_skip + 1)]``, then the encoder's final norm; negative prompts are read in full."""
    import torch

    tokenizer, encoder = pipeline.tokenizer, pipeline.text_encoder
    read = tokenizer(["a red circle"], padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    norm = getattr(encoder, "text_model", encoder).final_layer_norm
    with torch.inference_mode():
        states = encoder(read.input_ids, output_hidden_states=True).hidden_states
        for skip in (1, 2):
            for weighting in (False, True):
                call = CallSpec(clip_skip=skip, weighting=weighting)
                assert torch.equal(encode(pipeline, "a red circle", call).embeds, norm(states[-(skip + 1)]))
        negative = encode(pipeline, "a red circle", CallSpec(clip_skip=1), negative=True)
        assert torch.equal(negative.embeds, norm(states[-1]))


@pytest.mark.slow
def test_weighting_moves_words_and_nothing_else(pipeline):
    """A text without weights is encoded as the pipeline does; with weights, further from the empty text or nearer."""
    import torch

    weighted = CallSpec(weighting=True)
    with torch.inference_mode():
        plain = encode(pipeline, "a red circle", CallSpec())
        assert torch.equal(encode(pipeline, "a red circle", weighted).embeds, plain.embeds)
        assert torch.equal(encode(pipeline, "", weighted).embeds, encode(pipeline, "", CallSpec()).embeds)
        empty = encode(pipeline, "", CallSpec()).embeds
        strong = encode(pipeline, "a (red)1.5 circle", weighted).embeds
        torch.testing.assert_close(strong[0, 2] - empty[0, 2], (plain.embeds[0, 2] - empty[0, 2]) * 1.5)
        assert torch.equal(strong[0, 1], plain.embeds[0, 1])
        long = encode(pipeline, LONG, weighted)
        assert long.tokens > 77
        assert long.tokens % 77 == 0
        filled = pad_to_longest(pipeline, [plain, long], weighted)
        assert [each.tokens for each in filled] == [long.tokens] * 2
        assert torch.equal(filled[0].embeds[:, 77:154], empty)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny", pytest.param("mini", marks=pytest.mark.exhaustive)])
def test_steered_image_in_company_has_the_same_bytes(make, make_spec, model, tmp_path):
    """Variation, weights, skipped layers and early stops: the same bytes alone, and beside a text of another length."""
    spec = make_spec(
        "a (red)1.4 circle", LONG, "a blue square++", seeds=(0, 7), weighting=True, clip_skip=1, guidance_until=0.5,
        variation_seed=5, variation_strength=0.2, guidance_rescale=0.5, batch_size=4, num_inference_steps=2,
        model=str(save_tiny(tmp_path / "tiny", encoder=tiny_encoder(layers=2))) if model == "tiny" else model,
    )  # fmt: skip
    whole = make(spec)
    assert len(set(whole)) == 6
    assert make(spec, [5, 2]) == [whole[5], whole[2]]
    assert make(spec, [3]) == [whole[3]]
    assert make(spec, [0, 1, 4]) == [whole[0], whole[1], whole[4]]


@pytest.mark.slow
def test_plan_of_long_texts_counts_the_batches_of_each_length(engine, make_spec, tmp_path):
    """Texts over 77 tokens share no forward with shorter ones: what is planned is what is run, and a short negative
    prompt is as long as its prompt."""
    from diffusers import StableDiffusionPipeline

    model = str(save_tiny(tmp_path / "tiny"))
    words, weighed, long = "fox", "(fox)1.4 and .hat", ".".join(["fox"] * 60)
    conjunction = '("fox", "hat").and()'
    spec = make_spec(
        words, weighed, long, conjunction, model=model, weighting=True, num_inference_steps=1, seeds=(0, 1)
    )
    resolved = resolve(engine, spec)
    assert resolve(engine, resolved.spec) == resolved
    planned = plan((resolved,))
    pictures = list(draw(engine, requests_of(resolved)))
    pipeline = StableDiffusionPipeline.from_pretrained(model)
    read = [
        encode_pair(pipeline, task.prompt, task.negative_prompt, task.call)[0].tokens // 77
        for task in requests_of(resolved)[::2]
    ]
    assert list(resolved.pieces) == read
    assert len(set(read)) == 3
    assert planned.batches == len({picture.batch for picture in pictures}) == 3
    assert resolve(engine, spec.vary(weighting=False)).pieces == ()


@pytest.mark.slow
def test_texts_of_two_lengths_have_forwards_of_their_own(engine, make_spec):
    """Also where it was not known before: what images ask decides, and each is what it is alone."""
    resolved = resolve(engine, make_spec("a fox", LONG, "a dog", weighting=True, num_inference_steps=1))
    tasks = [replace(task, batch_key="one") for task in requests_of(resolved)]
    together = {picture.request.id: picture.pixels.tobytes() for picture in draw(engine, tasks)}
    alone = {task.id: next(iter(draw(engine, [task]))).pixels.tobytes() for task in tasks}
    assert together == alone


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clip_skip": 9}, r"clip_skip 9 leaves no layer of this model's text encoder; allowed: 0 to \d"),
        ({"variation_seed": 3}, "variation_seed 3 means nothing without variation_strength; type: .*=0.2"),
        ({"variation_strength": 0.5}, "variation_strength 0.5 means nothing without variation_seed"),
    ],
)
def test_resolve_of_steering_the_model_has_not_is_refused(engine, make_spec, changes, sentence):
    """Before a weight is read, in one line."""
    with pytest.raises(InputError, match=sentence):
        resolve(engine, make_spec(**changes))


@pytest.mark.parametrize("changes", [{"weighting": True}, {"clip_skip": 1}, {"guidance_until": 0.4},
                                     {"guidance_rescale": 0.7}])  # fmt: skip
def test_resolve_of_steering_the_family_has_not_is_refused(engine, make_spec, flux, changes):
    """FLUX: words go through T5, guidance is a number that the model was distilled to be told."""
    (name,) = changes
    with pytest.raises(InputError, match=f"{name}.* means nothing to FluxPipeline"):
        resolve(engine, make_spec(model=str(flux), height=None, width=None, **changes))


def test_resolve_of_steering_that_says_nothing_is_one_recipe(engine, make_spec):
    """No layer left out, no rescaling, guidance to the end: the key of a run where none of it was said."""
    plain = resolve(engine, make_spec())
    said = resolve(engine, make_spec(clip_skip=0, guidance_rescale=0.0, guidance_until=1.0))
    assert said.setting_key == plain.setting_key
    assert said.spec == plain.spec


@pytest.mark.slow
def test_weighting_swap_is_refused_and_any_other_text_is_read(engine, make_spec):
    """compel's ``.swap()`` would be left out in silence. What is no weight is a word."""
    with pytest.raises(InputError, match=r"asks for \.swap\(\)"):
        resolve(engine, make_spec('a "cat".swap("dog") in a hat', weighting=True))
    odd = "portrait photography--beta --ar 2:3  --beta --upbeta, (open, 50% {x} ((a) b)++"
    resolved = resolve(engine, make_spec(odd, weighting=True, num_inference_steps=1))
    assert np.ptp(next(iter(draw(engine, requests_of(resolved)))).pixels) > 0


@pytest.mark.exhaustive
def test_weighting_with_two_encoders_reads_both(make, make_spec, tmp_path):
    """Stable Diffusion XL: weights and long texts, guidance that stops, a word with vectors for both encoders; alone as
    in company."""
    from safetensors.torch import save_file
    from torch import ones

    from tests.families.unets import stable_diffusion_xl

    pipeline = stable_diffusion_xl()
    pipeline.save_pretrained(tmp_path / "xl")
    encoders = {"clip_l": pipeline.text_encoder, "clip_g": pipeline.text_encoder_2}
    sets = {name: ones(2, encoder.config.hidden_size) for name, encoder in encoders.items()}
    save_file(sets, tmp_path / "word.safetensors")
    spec = make_spec("a fox", LONG, model=str(tmp_path / "xl"), seeds=(0, 7))
    plain = make(spec, [0])
    word = Embedding(name=str(tmp_path / "word.safetensors"))
    assert make(spec.vary(guidance_until=0.5), [0]) != plain
    assert make(spec.vary(embeddings=(word,)), [0]) == plain  # a word that no prompt has
    with pytest.raises(InputError, match="clip_skip 1 leaves no layer"):  # there are two, and XL leaves one anyway
        make(spec.vary(clip_skip=1))
    weighted = spec.vary(weighting=True, variation_seed=3, variation_strength=0.5)
    whole = make(weighted)
    assert len(set(whole)) == 4
    assert make(weighted, [3, 0]) == [whole[3], whole[0]]


@pytest.mark.slow
def test_variation_of_any_family_mixes_its_noise(make, make_spec, tmp_path):
    """FLUX folds its latents into tokens: both noises are folded, and mixed then."""
    from tests.families.transforming import flux

    flux().save_pretrained(tmp_path / "flux")
    spec = make_spec("a fox", model=str(tmp_path / "flux"), seeds=(0, 7))
    plain = make(spec)
    assert make(spec.vary(variation_seed=7, variation_strength=0.0)) == plain
    assert make(spec.vary(variation_seed=7, variation_strength=1.0)) == [plain[1], plain[1]]
    assert not set(make(spec.vary(variation_seed=7, variation_strength=0.5), [0])) & set(plain)
