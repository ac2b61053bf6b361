"""A CLIP tokenizer with the words of our captions: byte-pair merges learnt from them, every other word spelt out in bytes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from training.attributes import choose
from training.captions import UNKNOWN, caption
from training.labels import label_rows

__all__ = ["CAPTIONS", "learn_tokenizer", "load_tokenizer", "tokens_of", "write_captions"]

CAPTIONS = 4
"""Captions kept for each picture."""
LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""CLIP's own split of a text into words."""
MERGED = 1024
"""At most this many tokens come from merges and bytes."""


def learn_tokenizer(folder: Path, texts: int = 12_000) -> CLIPTokenizer:
    """Learn merges from captions and write ``vocab.json``, ``merges.txt`` and transformers' own files."""
    r = random.Random(5)
    corpus = [caption(choose(i), r) for i in range(texts)] + list(UNKNOWN) * 3
    learner = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False))
    learner.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=MERGED + 256,
            min_frequency=2,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    pairs = [
        tuple(m) if not isinstance(m, str) else tuple(m.split(" "))
        for m in json.loads(learner.to_str())["model"]["merges"]
    ]
    return _write(folder, alphabet, pairs)


def _write(folder: Path, alphabet: list[str], pairs: list[tuple[str, ...]]) -> CLIPTokenizer:
    tokens = alphabet + [letter + "</w>" for letter in alphabet]
    known = set(tokens)
    for left, right in pairs:
        if left + right not in known:
            tokens.append(left + right)
            known.add(left + right)
    pairs = [(left, right) for left, right in pairs if left in known and right in known]
    vocab = {token: i for i, token in enumerate([*tokens, START, END])}
    folder.mkdir(parents=True, exist_ok=True)
    CLIPTokenizer(vocab=vocab, merges=pairs, model_max_length=LENGTH).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in pairs), encoding="utf-8"
    )
    return load_tokenizer(folder)


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer in ``folder``."""
    return CLIPTokenizer.from_pretrained(folder)


def tokens_of(tokenizer: CLIPTokenizer, texts: list[str]) -> np.ndarray:
    """int16 (texts, 77), padded with the end token, as the pipeline does."""
    return np.array(tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True).input_ids, np.int16)


def write_captions(work: Path, pictures: int) -> None:
    """``work/tokens.npy``: int16 (pictures, ``CAPTIONS``, 77), and ``work/labels.npy``; the tokenizer is learnt where there is none."""
    folder = work / "tokenizer"
    tokenizer = load_tokenizer(folder) if folder.is_dir() else learn_tokenizer(folder)
    r = random.Random(6)
    rows = []
    for start in range(0, pictures, 500):
        texts = [caption(choose(i), r) for i in range(start, min(start + 500, pictures)) for _ in range(CAPTIONS)]
        rows.append(tokens_of(tokenizer, texts).reshape(-1, CAPTIONS, LENGTH))
    np.save(work / "tokens.npy", np.concatenate(rows))
    np.save(work / "labels.npy", label_rows(pictures))
