# ruff: noqa: E501 - the lines of a table are as long as they are
"""Types random command lines on random files, and counts those answered with "unexpected", or not at all.

    python -m benchmarks.fuzzing [COUNT] [FIRST] [--keep FILE] [--write]

Commands and options are real; what is put into them is what people paste and strangers make: long texts, half brackets,
control characters, numbers without end, folders, pipes. Files are pictures of ours and of others, experiments, weights
and databases in which something was changed, cut, doubled or exchanged, checksums made good again where a reader would
look no further. The painter draws, in a workspace that is laid out anew every hundred lines. Commands that go on until
they are stopped, or open a window, are left out.

Lines are numbered and drawn by their number: ``FIRST`` goes on where an earlier call ended, and one alone is typed again
by its number. ``--keep`` counts them in a file, ``--write`` makes ``results/fuzzing.md`` of it.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmarks.killing import copy_workspace
from benchmarks.machine import machine, write_result

__all__ = ["Fuzzer"]

SECONDS: Final = 300
"""A command that takes longer hangs, also on a busy machine: the painter needs a millisecond an image."""

RESET: Final = 100
"""So many lines share a workspace."""

LEFT_OUT: Final = frozenset({"ui", "open", "serve", "server", "completion"})
EXPECTED: Final = ("0", "1", "2", "130")

WORDS: Final = (
    "a fox", "", " ", "(" * 3_000, "{a|b}", "{", "}", "{2$$a|b}", "__age__", "__my list__", "a=>b", "=>",
    "\x1b]52;c;\x07", "\u202e", "猫", "😀", "e\u0301", "\n", "'; --", "%s%n", "$(id)", "x" * 300, "a" * 20_000, "..", "/",
    "/dev/null", "~", "-", "0", "1", "-1", "1e309", "nan", "0-7", "1/0", "1@seed:0", "last", "sweep:1", "999999999",
    "9" * 30, "10-30 (+10)", "euler", "dpmsolver++", "mini", "default", "none", "64", "64x64", "0x0", "7:0.5", "a:b:c",
    "cpu", "cuda", "float32", "1:1 > 2:1", "0>1", "7d", "2026-13-01", "http://127.0.0.1:1", "postgresql://", "json",
    "png", "5", "(hat:1.5)", "(hat)1.5", "<lora:x:1>", "[[[", "\\", "\\n", "a|b|c", "<b>&amp;", "_" * 5_000, "{a|" * 60,
)  # fmt: skip

NASTY: Final[tuple[Any, ...]] = (
    None, True, "", "\0", "\ud800", "x" * 5_000, "(" * 5_000, -1, 0, 2**31, 2**63, 2**64, 10**400, 1e308, -0.5,
    float("nan"), float("inf"), [], {}, [[[[[[]]]]]], {"a": {"b": {"c": {}}}}, ["3", 0], "../../x", "/etc/passwd",
    "2026-01-01T00:00:00", "1" * 5_000, "\x1b[2J", "=1+1",
)  # fmt: skip
"""Values that a JSON object may hold in another's place."""

PICTURE_VERBS: Final[tuple[tuple[str, ...], ...]] = (
    ("import", "{}"), ("import", "{}", "--json"), ("show", "{}"), ("show", "{}", "--json"), ("show", "{}", "--csv"),
    ("plan", "--like", "{}"), ("run", "--like", "{}", "--size", "64", "--model", "mini"), ("rerun", "{}"),
    ("diff", "{}", "1/0"), ("verify", "{}"), ("export", "{}", "--to", "out.jpg"), ("rate", "{}", "3"),
    ("favourite", "{}"), ("tree", "{}"), ("run", "-f", "{}"),
)  # fmt: skip
TEXT_VERBS: Final[tuple[tuple[str, ...], ...]] = (
    ("plan", "-f", "{}"), ("run", "-f", "{}"), ("run", "--prompts-file", "{}", "--size", "64"), ("import", "{}"),
    ("plan", "a __age__", "-f", "{}"),
)  # fmt: skip
WEIGHT_VERBS: Final[tuple[tuple[str, ...], ...]] = (
    ("plan", "a fox", "--lora", "{}"), ("plan", "a fox", "--vae", "{}"), ("plan", "a fox", "--model", "{}"),
    ("plan", "a fox", "--embedding", "{}"), ("schedulers", "--model", "{}"), ("run", "a fox", "--vae", "{}"),
)  # fmt: skip
DATABASE_VERBS: Final[tuple[tuple[str, ...], ...]] = (
    ("list",), ("show", "last"), ("search", "fox"), ("doctor",), ("doctor", "--fix"), ("tree",), ("db", "current"),
    ("db", "upgrade"), ("db", "backup"), ("best",), ("sync",), ("run", "a fox", "--size", "64"), ("resume",),
    ("verify", "1"), ("export", "1", "--to", "out"), ("rate", "1/0", "3"),
)  # fmt: skip
FOLDER_VERBS: Final[tuple[tuple[str, ...], ...]] = (
    ("doctor",), ("doctor", "--fix"), ("verify", "1"), ("import", "images"), ("resume",), ("export", "1", "--to", "out"),
    ("show", "1/0"), ("diff", "1/0", "1/1"), ("effect", "1"), ("rerun", "1/0"), ("run", "a fox", "--seeds", "0-1"),
)  # fmt: skip


class Fuzzer:
    """Draws and types lines, in a folder that is thrown away."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._begin, self._workspace = folder, folder / "begin", folder / "work space"
        self._begin.mkdir()
        os.environ |= {"PROMPTLAB_ENGINE": "painter", "PROMPTLAB_KEEP_ALIVE": "0", "PROMPTLAB_WAIT": "1",
                       "PROMPTLAB_CACHE": str(folder / "cache")}  # fmt: skip
        self._enter(self._begin)
        for words in (
            ("run", "a fox", "a {red|blue} cat", "--seeds", "0-1", "--size", "64", "--no-show"),
            ("run", "a fox", "--steps", "5", "--steps", "6", "--size", "64", "--no-show"), ("rate", "1/0", "4"),
            ("export", "1/0", "--to", "ours.jpg"), ("export", "1/1", "--to", "ours.webp"),
            ("export", "1", "--to", "exported"),
        ):  # fmt: skip
            code, said = typed(list(words))
            if code != "0":
                raise RuntimeError(said)
        self._files = make_files(self._begin)
        self._bases = bases(self._begin)
        self._commands = sorted(set(commands()) - LEFT_OUT)

    def line(self, number: int) -> tuple[str, list[str], str]:
        """Type line ``number``; return its exit code, its words and what it said."""
        chosen = random.Random(number)
        if number % RESET == 0 or not self._workspace.exists():
            copy_workspace(self._begin, self._workspace)
        words = self._words(chosen) if chosen.random() < 0.6 else self._on_a_file(chosen)
        self._enter(self._workspace)
        code, said = typed(words)
        if not (self._workspace / "mlflow.db").is_file() or chosen.random() < 0.02:
            shutil.rmtree(self._workspace, ignore_errors=True)
        return code, words, said

    def _enter(self, folder: Path) -> None:
        os.chdir(folder)
        os.environ["PROMPTLAB_WORKSPACE"] = str(folder)

    def _words(self, chosen: random.Random) -> list[str]:
        name = chosen.choice(self._commands)
        command = commands()[name]
        options = [option for one in command.params for option in one.opts if option[:1] == "-"
                   and not getattr(one, "hidden", False)]  # fmt: skip
        return [name, *(draw(chosen, options, self._files) for _ in range(chosen.randrange(4)))]

    def _on_a_file(self, chosen: random.Random) -> list[str]:
        """Change a file and return a command that reads it."""
        kind = chosen.choices(["picture", "text", "weights", "database", "workspace"], [50, 20, 6, 12, 12])[0]
        if kind in ("database", "workspace"):
            copy_workspace(self._begin, self._workspace)
            if kind == "database":
                path = self._workspace / "mlflow.db"
                change(path, chosen, few=True)
                verb = chosen.choice(DATABASE_VERBS)
            else:
                images = [path for path in (self._workspace / "images").rglob("*") if path.suffix == ".png"]
                for path in chosen.sample(sorted(images), chosen.randrange(1, 4)):
                    spoil(path, chosen)
                verb = chosen.choice(FOLDER_VERBS)
            return list(verb)
        name = chosen.choice(sorted(self._bases[kind]))
        path = self._folder / f"changed{Path(name).suffix}"
        path.unlink(missing_ok=True)
        path.write_bytes(self._bases[kind][name])
        change(path, chosen)
        verb = chosen.choice({"picture": PICTURE_VERBS, "text": TEXT_VERBS, "weights": WEIGHT_VERBS}[kind])
        for left in (self._workspace / "out", self._workspace / "out.jpg"):  # a run is exported into a folder
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        return [word.format(path) for word in verb]


def commands() -> dict[str, Any]:
    """Return the commands by name, those within commands as well."""
    from promptlab.cli import promptlab
    from promptlab.cli.commands import COMMANDS

    return {name: promptlab.commands[name] for name in COMMANDS}


def draw(chosen: random.Random, options: list[str], files: list[str]) -> str:
    """Draw an option, a word or a file."""
    kind = chosen.random()
    if kind < 0.35 and options:
        return chosen.choice(options)
    return chosen.choice(files) if kind < 0.5 else chosen.choice(WORDS)


def make_files(folder: Path) -> list[str]:
    """Make the files that command lines may name; some are not there, some are what they should not be."""
    contents = {
        "empty.png": b"", "short.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "words.txt": b"a fox\n{a|b}\n",
        "latin.txt": b"caf\xe9", "a.yaml": b"prompts: [a fox]\nseeds: 0-1\n", "bad.yaml": b"prompts: [\n",
        "deep.yaml": b"[" * 2_000, "zip.zip": b"PK\x03\x04", "weights.safetensors": safetensors({}),
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "lists").mkdir()
    (folder / "lists" / "age.txt").write_text("old\n2::young\n{p|q}\n")
    (folder / "lists" / "my list.txt").write_text("one\ntwo\n")
    (folder / "folder.png").mkdir()
    made = ["images/00001/v00-seed0.png", "images/00001/grid.png", "images", "nowhere.png", "folder.png", "ours.jpg"]
    return [*contents, *made]


def bases(begin: Path) -> dict[str, dict[str, bytes]]:
    """Return what files are changed from, by kind and name: ours, others' and what is neither."""
    from promptlab.models import bundled

    pictures = {
        path.name: path.read_bytes() for path in begin.rglob("*.png") if path.is_file() and "mlart" not in str(path)
    }
    pictures |= {name: (begin / name).read_bytes() for name in ("ours.jpg", "ours.webp")}
    for name, texts in others().items():
        pictures[f"{name}.png"] = png(texts)
    written = {
        "all.yaml": (begin / "exported" / "experiment.yaml").read_bytes(), "run.json": (begin / "exported" / "run.json").read_bytes(),
        "images.csv": (begin / "exported" / "images.csv").read_bytes(), "prompts.txt": b"a fox\na {red|blue} cat\n__age__\n",
        "sweep.yaml": b"template: a {red|blue} __age__ fox\nlists:\n  age: [old, young]\nseeds: 0-3\nsweep:\n  steps: 5-20 (+5)\n"
        b"  scheduler: [euler, unipc]\nexclude:\n  - {steps: 5, scheduler: euler}\nzip:\n  - {guidance: [1, 2]}\n",
    }  # fmt: skip
    tensor = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
    names = ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "emb_params", "clip_l", "decoder.conv_in.weight",
             "model.diffusion_model.input_blocks.0.0.weight", "unet.down_blocks.0.attentions.0.proj_in.lora_A.weight")  # fmt: skip
    weights = {f"{number}.safetensors": safetensors({name: tensor}) for number, name in enumerate(names)}
    small = bundled("mini")
    if small is not None:
        weights["index.json"] = (small / "model_index.json").read_bytes()
    return {"picture": pictures, "text": written, "weights": weights}


def others() -> dict[str, dict[str, str]]:
    """Return texts of other programs, by program and keyword."""
    fields = "Steps: 18, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.5, Seed: 77, Size: 640x384, Model: pine"
    graph = {
        "3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 18, "cfg": 5.5, "sampler_name": "euler", "scheduler":
              "normal", "denoise": 1.0, "model": ["9", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "pine.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 384, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["10", 0], "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "LoraLoader", "inputs": {"lora_name": "ink", "strength_model": 0.5, "strength_clip": 0.5,
              "model": ["4", 0], "clip": ["4", 1]}},
        "10": {"class_type": "StringConcatenate", "inputs": {"string_a": "an owl", "string_b": "on a fence", "delimiter": " "}},
        "11": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
    }  # fmt: skip
    invoke = {"generation_mode": "txt2img", "positive_prompt": "an owl", "negative_prompt": "fog", "width": 640, "height": 384,
              "seed": 7, "cfg_scale": 5.5, "steps": 18, "scheduler": "euler", "model": {"name": "pine", "base": "sd-1"},
              "loras": [{"model": {"name": "ink"}, "weight": 0.5}]}  # fmt: skip
    fooocus = {"prompt": "an owl", "negative_prompt": "fog", "styles": "[]", "performance": "Speed", "steps": 30, "resolution": "(1024, 768)",
               "guidance_scale": 4.0, "base_model": "pine", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "7",
               "lora_combined_1": "ink.safetensors : 0.5", "metadata_scheme": "fooocus", "version": "Fooocus v2.5"}  # fmt: skip
    swarm = {"sui_image_params": {"prompt": "an owl", "negativeprompt": "fog", "model": "pine", "seed": 7, "steps": 18, "cfgscale": 5.5,
             "width": 640, "height": 384, "sampler": "euler", "scheduler": "normal", "loras": ["ink"], "loraweights": ["0.5"]}}  # fmt: skip
    nai = {"prompt": "an owl", "uc": "fog", "steps": 28, "scale": 5, "seed": 7, "width": 832, "height": 1216, "sampler": "k_euler",
           "noise_schedule": "karras", "v4_prompt": {"caption": {"base_caption": "an owl", "char_captions": []}}}  # fmt: skip
    draw = {"c": "an owl", "uc": "fog", "model": "pine", "steps": 18, "scale": 5.5, "size": "640x384", "seed": 7, "sampler": "Euler A",
            "lora": [{"model": "ink", "weight": 0.5}]}  # fmt: skip
    civitai = '[{"type":"checkpoint","modelName":"pine"},{"type":"lora","weight":0.5,"modelName":"ink"}]'
    return {
        "automatic1111": {"parameters": f"an owl <lora:ink:0.5>\nNegative prompt: fog\n{fields}"},
        "civitai": {"parameters": f"an owl\n{fields}, Civitai resources: {civitai}"},
        "comfyui": {"prompt": json.dumps(graph)}, "invokeai": {"invokeai_metadata": json.dumps(invoke)},
        "fooocus": {"parameters": json.dumps(fooocus), "fooocus_scheme": "fooocus"},
        "swarmui": {"parameters": json.dumps(swarm)},
        "novelai": {"Software": "NovelAI", "Comment": json.dumps(nai), "Description": "an owl"},
        "drawthings": {"parameters": json.dumps(draw)},
        "dgenerate": {"DgenerateConfig": "#! dgenerate 3\n\npine \\\n--prompts \"an owl; fog\" \\\n--inference-steps 18 \\\n--seeds 7\n"},
        "dream": {"Dream": '"an owl [fog]" -s 50 -S 7 -W 512 -H 512 -C 7.5 -A k_lms'},
    }  # fmt: skip


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(texts: dict[str, str]) -> bytes:
    """Return a PNG of eight by eight pixels with these texts."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    said = b"".join(chunk(b"iTXt", name.encode() + b"\0\0\0\0\0" + text.encode()) for name, text in texts.items())
    pixels = zlib.compress(b"".join(b"\0" + bytes(range(24)) for _ in range(8)))
    return b"\x89PNG\r\n\x1a\n" + head + said + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def safetensors(tensors: dict[str, Any]) -> bytes:
    """Return a safetensors file with this header."""
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + bytes(64)


def change(path: Path, chosen: random.Random, *, few: bool = False) -> None:
    """Change a file: its JSON or texts where it has any, or its bytes."""
    data = path.read_bytes()
    how = chosen.random()
    if data.startswith(b"\x89PNG") and how < 0.8:
        data = change_png(data, chosen)
    elif data.lstrip()[:1] == b"{" and how < 0.7:
        data = change_json(data.decode("utf-8", "replace"), chosen).encode("utf-8", "replace")
    elif path.suffix == ".safetensors" and how < 0.7:
        length = int.from_bytes(data[:8], "little")
        header = change_json(data[8 : 8 + length].decode("utf-8", "replace"), chosen).encode("utf-8", "replace")
        data = len(header).to_bytes(8, "little") + header + data[8 + length :]
    else:
        data = change_bytes(data, chosen, few=few)
    path.write_bytes(data)


def spoil(path: Path, chosen: random.Random) -> None:
    """Take a picture away, put something else in its place, or change it."""
    how = chosen.random()
    if how < 0.2:
        path.unlink()
    elif how < 0.3:
        path.unlink()
        path.mkdir()
    elif how < 0.4:
        path.unlink()
        path.symlink_to(chosen.choice(["/dev/null", "nowhere", ".", "grid.png"]))
    else:
        data = path.read_bytes()
        path.unlink()  # it may be a link to what MLflow shows
        path.write_bytes(data)
        change(path, chosen)


def change_bytes(data: bytes, chosen: random.Random, *, few: bool = False) -> bytes:
    """Return bytes that were flipped, cut, doubled, zeroed, or have something put into them."""
    changed = bytearray(data)
    for _ in range(chosen.randrange(1, 3 if few else 6)):
        if not changed:
            break
        at = chosen.randrange(len(changed))
        length = chosen.choice([1, 2, 8, 64, 500])
        match chosen.randrange(6):
            case 0:
                changed[at] ^= 1 << chosen.randrange(8)
            case 1 if not few or chosen.random() < 0.3:
                del changed[at:]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at : at + length] = bytes(len(changed[at : at + length]))
            case 4:
                changed[at : at + length] = chosen.randbytes(length)
            case _:
                changed[at:at] = str(chosen.choice(NASTY))[:5_000].encode("utf-8", "replace")
    return bytes(changed)


def change_png(data: bytes, chosen: random.Random) -> bytes:
    """Return a PNG one of whose chunks was changed, its checksum made good again."""
    chunks = list(png_chunks(data))
    if not chunks:
        return change_bytes(data, chosen)
    texts = [at for at, (kind, _) in enumerate(chunks) if kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf")]
    at = chosen.choice(texts) if texts and chosen.random() < 0.8 else chosen.randrange(len(chunks))
    kind, inner = chunks[at]
    head, mark, text = inner.partition(b"{")
    match chosen.randrange(8):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(chosen.randrange(len(chunks) + 1), chunks[at])
        case 2:
            chunks[at] = chosen.choice([b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"abCd", b"IDAT", b"PLTE", b"acTL"]), inner
        case 3 | 4 | 5 if mark:
            chunks[at] = (
                kind,
                head + change_json((mark + text).decode("utf-8", "replace"), chosen).encode("utf-8", "replace"),
            )
        case _:
            chunks[at] = kind, change_bytes(inner, chosen)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a PNG."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def change_json(text: str, chosen: random.Random) -> str:
    """Return JSON in which values were exchanged, doubled, renamed or taken out."""
    try:
        plain = json.loads(text)
    except ValueError:
        return change_bytes(text.encode(), chosen).decode("utf-8", "replace")
    for _ in range(chosen.randrange(1, 5)):
        places = list(_places(plain))
        if not places:
            break
        holder, key = chosen.choice(places)
        match chosen.randrange(6):
            case 0:
                del holder[key]
            case 1:
                other, name = chosen.choice(places)
                holder[key] = copy.deepcopy(other[name])  # no circles: JSON has none
            case 2 if isinstance(holder, dict):
                holder[chosen.choice(["", "x" * 300, "\0", "__proto__", "0", key + key])] = holder.pop(key)
            case 3 if isinstance(holder[key], str):
                holder[key] = holder[key] + chosen.choice(WORDS)
            case _:
                holder[key] = copy.deepcopy(chosen.choice(NASTY))  # which is the same for every line
    return json.dumps(plain, ensure_ascii=chosen.random() < 0.5)


def _places(plain: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place that holds a value, with what holds it; texts that are JSON are left as texts."""
    waiting = [plain]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            for key in holder if isinstance(holder, dict) else range(len(holder)):
                yield holder, key
                waiting.append(holder[key])


def typed(words: list[str]) -> tuple[str, str]:
    """Carry out a command line in this process; return its exit code and what it said."""
    from promptlab import cli

    said, code = io.StringIO(), "0"

    def stuck(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before, sys.stdin = sys.stdin, io.StringIO("")
    signal.signal(signal.SIGALRM, stuck)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cli.main(words)
    except SystemExit as left:
        code = str(left.code or 0)
    except BaseException as error:  # noqa: BLE001 - it is what is looked for
        code = type(error).__name__
    finally:
        signal.alarm(0)
        sys.stdin = before
    return code, said.getvalue()


def main() -> int:
    """Type lines, print those that were answered badly, and count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("--keep", type=Path, help="a file that gathers the outcomes of several calls")
    parser.add_argument("--write", action="store_true", help="write results/fuzzing.md")
    asked = parser.parse_args()
    codes, bad = Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="promptlab-fuzzing-", ignore_cleanup_errors=True) as folder:
        fuzzer = Fuzzer(Path(folder).resolve())
        for number in range(asked.first, asked.first + asked.count):
            code, words, said = fuzzer.line(number)
            codes[code] += 1
            if "promptlab: unexpected " in said or code not in EXPECTED:
                bad += 1
                print(f"{number}: {code}: {[word[:60] for word in words]}: {said.strip()[-300:]}", flush=True)
        os.chdir("/")
    counts = {"first": asked.first, "count": asked.count, "bad": bad, "codes": dict(codes)}
    kept = [counts]
    if asked.keep is not None:
        with asked.keep.open("a") as file:
            file.write(json.dumps(counts) + "\n")
        kept = [json.loads(line) for line in asked.keep.read_text().splitlines()]
    text = table(list({each["first"]: each for each in kept}.values()))
    if asked.write:
        write_result("fuzzing", text)
    else:
        print(text)
    return 1 if bad else 0


def table(counts: list[dict[str, Any]]) -> str:
    """Return what came of the lines."""
    codes = Counter[str]()
    for each in counts:
        codes.update(each["codes"])
    by_code = ", ".join(f"{codes[code]:,} with {code}" for code in sorted(codes))
    return (
        f"# Random command lines and files\n\n{machine()}\n\n{sum(each['count'] for each in counts):,} lines: "
        f"{sum(each['bad'] for each in counts)} unexpected or stuck. They ended {by_code}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
