"""Tokenizers whose vocabulary is the alphabet, written here: a tiny model needs no more, and nothing is downloaded.

Every character is a token of its own, so a prompt of a hundred characters is long. Ids and special tokens are those
that the pipelines of each family look for.
"""

import string

from tokenizers.pre_tokenizers import ByteLevel

LETTERS = sorted(string.printable.strip())
BYTES = sorted(ByteLevel.alphabet())
PIXELS = "<|vision_start|><|image_pad|><|vision_end|>"


def clip(length=77):
    """Byte-level, each character also as the end of a word: 514 tokens."""
    from transformers import CLIPTokenizer

    words = [*BYTES, *(f"{letter}</w>" for letter in BYTES), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=length)


def t5(length=512):
    """Unigram: padding, end and unknown first, then a blank's mark, the letters, and T5's hundred gaps."""
    from transformers import T5Tokenizer

    words = ["<pad>", "</s>", "<unk>", "▁", *LETTERS]
    return T5Tokenizer(vocab=[(word, -1.0) for word in words], extra_ids=4, model_max_length=length)


def gemma(length=512):
    """Letters, and bytes for what is none."""
    from transformers import GemmaTokenizer

    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS, *_bytes()]
    template = "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}{% endfor %}"
    return _begun(GemmaTokenizer(vocab=_numbered(words), merges=[], model_max_length=length, chat_template=template))


def llama(length=512):
    """As Gemma's, with the special tokens of Llama."""
    from transformers import LlamaTokenizer

    words = ["<unk>", "<s>", "</s>", "▁", *LETTERS, *_bytes()]
    return _begun(LlamaTokenizer(vocab=_numbered(words), merges=[], model_max_length=length, pad_token="<unk>"))


QWEN_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>", "<think>", "</think>",
)  # fmt: skip
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{{ c.text if c.type == 'text' else '" + PIXELS + "' }}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen(length=1024):
    """Byte-level, with the marks of a chat."""
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        vocab=_numbered([*BYTES, *QWEN_SPECIAL]), merges=[], model_max_length=length, chat_template=_CHAT,
        additional_special_tokens=list(QWEN_SPECIAL[1:]),
    )  # fmt: skip
    tokenizer.padding_side = "left"
    return tokenizer


def bert(length=77):
    """Word pieces of one letter."""
    from transformers import BertTokenizer

    letters = sorted(set("".join(LETTERS).lower()))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    return BertTokenizer(vocab=_numbered(words), model_max_length=length)


def xlm_roberta(length=77):
    """Unigram."""
    from transformers import XLMRobertaTokenizer

    words = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, "<mask>"]
    return XLMRobertaTokenizer(vocab=[(word, -1.0) for word in words], model_max_length=length)


def glm_image():
    """GLM-Image's: the marks around a picture's size, and the one that begins a picture."""
    special = ("<|image|>", "<eop>", "<|begin_of_image|>")
    named = {"image_token": special[0], "grid_bos_token": "<sop>", "grid_eos_token": special[1]}
    return byte_level(1024, left=True, special=special, bos_token=special[2], extra_special_tokens=named)


def byte_level(length=512, *, left=False, special=(), **named):
    """A plain byte-level tokenizer with a padding token and ``special`` ones: GLM's, ByT5's, Mistral's stand-in."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<|endoftext|>", "<sop>", *special, *BYTES]
    tokenizer = Tokenizer(models.BPE(vocab=_numbered(words), merges=[]))
    tokenizer.post_processor = processors.TemplateProcessing(single="<sop> $A", special_tokens=[("<sop>", 1)])
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|endoftext|>", model_max_length=length,
        padding_side="left" if left else "right", chat_template=_CHAT,
        **(named or {"additional_special_tokens": list(special)}),
    )  # fmt: skip


def _numbered(words):
    return {word: at for at, word in enumerate(words)}


def _bytes():
    return [f"<0x{value:02X}>" for value in range(256)]


def _begun(tokenizer):
    """With the token that begins every text, as the real ones have it: an empty prompt is not nothing."""
    from tokenizers import processors

    begin = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.bos_token_id)]
    )
    return tokenizer
