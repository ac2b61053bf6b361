"""What a page says of a request while it is typed."""


def plan(page, **request):
    return page.post("/api/plan", {"prompt": "a {red|blue} fox", "seeds": "0-3", **request}).json


def settled(page, **request):
    """Ask until the engine has said what it knows."""
    for _ in range(100):
        found = plan(page, **request)
        if found["settled"]:
            return found
    raise AssertionError("the engine never answers")


def test_plan_says_what_the_words_stand_for_and_the_command(page):
    """Wordings, seeds, images; and the line that a terminal takes."""
    found = plan(page, settings={"steps": ["3"]}, negatives=["blurry"])
    assert [(each["prompt"], each["negative"]) for each in found["variants"]] == [
        ("a red fox", "blurry"), ("a blue fox", "blurry"),
    ]  # fmt: skip
    assert (found["variants_count"], found["seeds"], found["runs"], found["images"]) == (2, [0, 1, 2, 3], 1, 8)
    assert found["command"] == 'promptlab run "a {red|blue} fox" --seeds 0-3 --negative blurry --steps 3'
    assert found["error"] is None


def test_plan_knows_what_is_there_and_what_is_cut(page):
    """The engine says so, as it does for 'promptlab plan'; images that exist are not made again."""
    long = " ".join(f"word{number}" for number in range(90))
    before = settled(page, prompt=f"{{a fox|{long}}}")
    assert (before["known"], before["images"]) == (0, 8)
    assert [bool(each["cut"]) for each in before["variants"]] == [False, True]
    assert before["defaults"]["model"] == "mini"
    page.made({"prompt": "a red fox", "seeds": "0-1"})
    assert settled(page, prompt="a red fox", seeds="0-1")["known"] == 2
    after = settled(page, prompt="a red fox", seeds="0-3", settings={"batch_size": ["2"]})
    assert (after["known"], after["images"]) == (2, 4)


def test_plan_of_drawn_seeds_is_of_the_same_seeds_each_time(page):
    """Else the engine's answer would be to others, and it would be asked without end; what is made draws its own."""
    first = settled(page, seeds="random:3")
    assert (first["seeds_count"], first["known"]) == (3, 0)
    assert plan(page, seeds="random:3")["seeds"] == first["seeds"]
    assert page.made({"prompt": "a fox", "seeds": "random:3"})["seeds"] != first["seeds"]


def test_plan_moves_no_queue_that_is_shown(page):
    """A page that hears of the queue plans anew: it would be told of its own plan without end."""
    with page.events() as events:
        plan(page)
        names = [name for name, _ in page.until(events, "planned")]
    assert names == ["queue", "planned"]


def test_plan_of_a_sweep_counts_its_runs(page):
    """Several texts of a setting, or a range, are a run for each combination."""
    found = plan(page, settings={"steps": ["2-4 (+1)"], "scheduler": ["euler", "unipc"]})
    assert (found["runs"], found["images"], found["variants_count"]) == (6, 48, 2)


def test_plan_of_what_cannot_be_names_the_field(page):
    """While one types most texts are wrong for a moment: said beside the field, and never an error of the request."""
    for field, request in {
        "prompt": {"prompt": "a {red"}, "seeds": {"seeds": "x"}, "steps": {"settings": {"steps": ["0"]}},
        "scheduler": {"settings": {"scheduler": ["nothing"]}}, "parent": {"parent": {"run": 3, "position": None}},
        "lora": {"settings": {"lora": ["a:b:c + "]}},
    }.items():  # fmt: skip
        found = plan(page, **request)
        named = found["error"]["field"]
        assert named in (field, {"parent": "run"}.get(field)), (field, found["error"])
        assert found["error"]["message"]
        assert page.post("/api/jobs", {"prompt": "a fox", **request}).status in (400, 404)
