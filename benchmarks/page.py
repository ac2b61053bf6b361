"""How soon is the page there, how smoothly does it scroll, and how late is a picture, with 5,000 pictures in 200 runs?

    python benchmarks/page.py                # 200 runs of 25 pictures; writes benchmarks/results/page.md
    python benchmarks/page.py 20             # fewer runs, printed only

The painter makes the pictures, small ones, so that what is measured is the page and its server: thumbnails, JSON, the
browser. It needs Chromium, which runs without a GPU. Each figure has its goal beside it.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine, write_result
from promptlab.lab import Lab
from promptlab.page.page_server import ASSETS
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.workspace import Workspace
from tests.browsing import chromium
from tests.page.serving import page_of
from tests.tracking.without_mlflow import TrackerWithoutMlflow

SEEDS = 25
WATCH = """
window.tasks = [];
new PerformanceObserver(list => tasks.push(...list.getEntries().map(one => one.duration))).observe({type: "longtask"});
window.shown = {};
document.addEventListener("load", event => {
  const found = event.target.src?.match(/thumbs\\/(\\d+\\/\\d+)/);
  if (found) { shown[found[1]] ??= Date.now(); window.first ??= performance.now(); }
}, true);
"""
SCROLL = """
async runs => {
  tasks.length = 0;
  const began = performance.now();
  let frames = 0, most = 0, still = 0, last = -1;
  const there = () => document.querySelectorAll(".generation").length;
  while (still < 30 || (there() < runs && performance.now() - began < 120000)) {
    scrollBy(0, 300);
    await new Promise(requestAnimationFrame);
    frames++;
    if (frames % 20 === 0) most = Math.max(most, document.querySelectorAll("*").length);
    still = scrollY === last ? still + 1 : 0;
    last = scrollY;
  }
  return {frames, most, seconds: (performance.now() - began) / 1000, tasks, runs: there()};
}
"""


def fill(workspace: Workspace, runs: int) -> None:
    """Make so many runs, each varied from the one before."""
    lab = Lab(workspace, engine=Painter(), tracker=TrackerWithoutMlflow())
    parent = None
    for number in range(runs):
        words = (Variant(prompt=f"portrait photo of a old warrior chief, version {number}"),)
        spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=words, seeds=tuple(range(SEEDS)))
        parent = lab.run(spec, parent=parent)
    lab.close()


def wait(page: Any, condition: str) -> None:
    """Wait in the page itself: its policy lets Playwright evaluate nothing by and by."""
    page.evaluate(f"async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }}")


def measured(workspace: Workspace, runs: int) -> dict[str, Any]:
    """Open the page, scroll to its end, make a run; return what was seen."""
    with page_of(workspace, Painter(), assets=ASSETS) as served, chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        page.goto(served.address)
        page.locator(".cell img").first.wait_for()
        page.goto(served.url)  # thumbnails of the first screen are made, as they are from the second visit on
        wait(page, "window.first")
        first = page.evaluate("first") / 1000
        wait(page, "document.querySelectorAll('.cell img').length > 20")
        scrolled = page.evaluate(SCROLL, runs)
        page.evaluate("scrollTo(0, 0)")
        request: dict[str, Any] = {"prompt": "a fox", "negatives": [], "settings": {}, "parent": None}
        served.made(request | {"seeds": "8"})  # what is imported with a first run is
        run = served.made(request | {"seeds": "0-7"})
        page.locator(f"#run-{run['id']} .cell img").nth(7).wait_for()
        wait(page, f"Object.keys(shown).filter(one => one.startsWith('{run['id']}/')).length === 8")
        shown = page.evaluate("shown")
        lab = Lab(workspace, engine=Painter())
        late = [
            shown[f"{image.run_id}/{image.position}"] / 1000 - (workspace.root / str(image.path)).stat().st_mtime
            for image in lab.history.find(str(run["id"])).run.images
        ]
        return {"first": first, "late": max(late), **scrolled}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.at(Path(folder) / "space")
        began = time.perf_counter()
        fill(workspace, runs)
        print(f"{runs} runs in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        found = measured(workspace, runs)
    longest = max(found["tasks"], default=0)
    lines = [
        f"# The page with {runs * SEEDS:,} pictures in {runs} runs",
        "",
        f"{machine()}; Chromium without a GPU, 1400 × 900; `python benchmarks/page.py`",
        "",
        "| what | measured | goal |",
        "| --- | ---: | ---: |",
        f"| first picture on the screen after the address was opened | {found['first']:.2f} s | 1 s |",
        f"| longest task while scrolling through all of it | {longest:.0f} ms | 100 ms |",
        f"| tasks above 100 ms meanwhile | {sum(task > 100 for task in found['tasks'])} | 0 |",
        f"| a picture on the screen after its file was written, at most | {found['late']:.2f} s | 0.3 s |",
        f"| elements of the page, at most | {found['most']:,} | |",
        "",
        f"{found['runs']} generations were scrolled through in {found['frames']} frames, {found['seconds']:.1f} s.",
        "",
    ]
    text = "\n".join(lines)
    if runs >= 200:
        write_result("page", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
