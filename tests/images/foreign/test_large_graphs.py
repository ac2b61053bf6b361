"""Graphs as nobody draws them are read in steps that their size bounds, and what was not followed is said."""

import json

import pytest

from promptlab.images.foreign import comfyui
from tests.counting import calls
from tests.images.foreign import samples
from tests.images.foreign.corpus_comfyui import graph, to

pytestmark = pytest.mark.slow

node = samples.node


def samplers(count):
    """Samplers that each go on from the unfinished noise of the one before."""
    base = graph()["3"]["inputs"]
    quiet = {**base, "add_noise": "disable"}
    nodes = {
        f"s{at}": node("KSamplerAdvanced", **{**quiet, "latent_image": to(f"s{at + 1}")}) for at in range(count - 1)
    }
    nodes[f"s{count - 1}"] = node("KSampler", **base)
    return graph(nodes, n8={"samples": to("s0")})


def pipes(count):
    """Pipes made of pipes, each read by a sampler of its own."""
    nodes = {f"p{at}": node("EditBasicPipe", basic_pipe=to(f"p{at + 1}")) for at in range(count)}
    nodes[f"p{count}"] = node("ToBasicPipe", model=to(4), clip=to(4, 1), positive=to(6), negative=to(7))
    nodes |= {f"o{at}": node("FromBasicPipe", basic_pipe=to(f"p{at}")) for at in range(count)}
    nodes["j"] = node("ConditioningCombine", **{f"c{at}": to(f"o{at}", 3) for at in range(count)})
    return graph(nodes, n3={"positive": to("j")})


def reroutes(count):
    """A wire through reroutes."""
    nodes = {f"r{at}": node("Reroute", **{"": to(f"r{at + 1}")}) for at in range(count)}
    nodes[f"r{count}"] = node("CLIPTextEncode", text="an owl", clip=to(4, 1))
    return graph(nodes, n3={"positive": to("r0")})


def loras(count):
    """A model through LoRAs, and as many stacks behind each."""
    nodes = {
        f"l{at}": node("CR Apply LoRA Stack", model=to(f"l{at + 1}"), lora_stack=to(f"t{at % 120}"))
        for at in range(count)
    }
    nodes |= {f"t{at}": node("CR LoRA Stack", lora_name_1=f"x{at}", lora_stack=to(f"t{at + 1}")) for at in range(120)}
    nodes[f"l{count}"] = graph()["4"]
    return graph(nodes, n3={"model": to("l0")})


def joins(count):
    """A text of texts, each of which is made of the same long one."""
    nodes = {"long": node("PrimitiveString", value="x" * 10_000)}
    nodes |= {
        f"j{at}": node("StringConcatenate", string_a=to("long"), string_b=to("long"), delimiter="")
        for at in range(count)
    }
    nodes["all"] = node(
        "JoinStringMulti", inputcount=count, delimiter="", **{f"string_{at}": to(f"j{at}") for at in range(count)}
    )
    return graph(nodes, n6={"text": to("all")})


def slots(count):
    """A node that is joined of its own outputs, and a switch of as many inputs."""
    nodes = {"self": node("JoinStringMulti", delimiter="", **{f"string_{at}": to("self", at) for at in range(count)})}
    nodes["20"] = node("CR Text Input Switch", Input=1, **{f"text{at}": to("self", at) for at in range(count)})
    nodes |= {f"x{at}": node("CLIPTextEncode", text=to("20"), clip=to(4, 1)) for at in range(count)}
    nodes["j"] = node("ConditioningCombine", **{f"c{at}": to(f"x{at}") for at in range(count)})
    return graph(nodes, n3={"positive": to("j")})


def vaes(count):
    """Decoders and encoders in a row."""
    nodes = {f"d{at}": node("VAEDecode", samples=to(f"e{at}"), vae=to(4, 2)) for at in range(count)}
    nodes |= {f"e{at}": node("VAEEncode", pixels=to(f"d{at + 1}"), vae=to(4, 2)) for at in range(count)}
    nodes[f"d{count}"] = node("VAEDecode", samples=to(3), vae=to(4, 2))
    return graph(nodes, n9={"images": to("d0")})


def tangle(count):
    """Many words, each through the same long row of reroutes, which is walked for each."""
    nodes = {f"r{at}": node("Reroute", **{"": to(f"r{at + 1}")}) for at in range(60)}
    nodes["r60"] = node("PrimitiveString", value="an owl")
    nodes |= {f"x{at}": node("CLIPTextEncode", text=to("r0", at), clip=to(4, 1)) for at in range(count)}
    nodes["j"] = node("ConditioningCombine", **{f"c{at}": to(f"x{at}") for at in range(count)})
    return graph(nodes, n3={"positive": to("j")})


SHAPES = (samplers, pipes, reroutes, loras, joins, slots, vaes, tangle)


@pytest.mark.parametrize("shape", SHAPES)
def test_graph_twice_as_large_takes_twice_the_work(shape):
    """Calls are counted, so that nobody waits for a hundred thousand nodes in whatever order they are linked."""
    small, large = ({"prompt": json.dumps(shape(count))} for count in (400, 800))
    assert comfyui.read(large) is not None
    assert calls(comfyui.read, large) < 2.4 * calls(comfyui.read, small)


def test_graph_that_is_tangled_says_that_it_was_not_followed():
    """Nothing that was not looked at is passed over in silence."""
    found = comfyui.read({"prompt": json.dumps(tangle(3_000))})
    assert "graph" in {gap.name for gap in found.lost}


def test_graph_that_makes_long_texts_ends():
    """A text that is put into every letter of a long one stays within bounds."""
    grown = node("StringReplace", string="a" * 100_000, find="a", replace="b" * 100_000)
    found = comfyui.read({"prompt": json.dumps(graph({"20": grown}, n6={"text": to(20)}))})
    assert len(found.spec.variants[0].prompt) <= 200_000


def test_graph_with_more_gaps_than_are_listed_says_so():
    """A hundred are listed, and that there are more is one of them."""
    nodes = {f"m{at}": node(f"Patch{at}", model=to(f"m{at + 1}")) for at in range(150)}
    nodes["m150"] = graph()["4"]
    found = comfyui.read({"prompt": json.dumps(graph(nodes, n3={"model": to("m0")}))})
    assert (len(found.lost), found.lost[-1].name) == (101, "further ones")
