"""Tiny models: real architectures from small configs, for machines without weights or a GPU.

`create` makes a Qwen2.5-VL of about a million parameters with a byte-level BPE tokenizer trained in
code and the ChatML template, and saves it as an ordinary Hugging Face folder. It is loaded through the
same path as a downloaded model.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.data.toy.scenes import COLOURS, COLUMNS, ROWS, SHAPES
from stablereward.data.toy.tasks import seeing
from stablereward.policies.processor import ImageOnlyQwen2_5VLProcessor
from stablereward.policies.saving import make_portable
from stablereward.policies.vocabulary import TAGS
from stablereward.types import Preference

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
INITIALIZER_RANGE = 0.08
"""A layer of this width starts with signals of about unit size; the 7B models' 0.02 makes it start asleep."""
MAX_TOY_PIXELS = 28 * 28 * 64
"""A photograph becomes at most 64 visual tokens."""


def template_phrases() -> list[str]:
    """The fixed parts of the R1-Reward template, between its slots."""
    slot = "\0"
    return r1_reward(Preference(question=slot, responses=(slot, slot))).text.split(slot)


def toy_names() -> list[str]:
    """What a thing is called and where it is, with the space before it.

    One token each: that two names are the same is then seen at once, which a model of this size
    otherwise learns slowly.
    """
    names = [f" {colour} {shape}" for colour in COLOURS for shape in SHAPES]
    places = [f" {row} {column}" for row in ROWS for column in COLUMNS if row and column]
    return names + places


def toy_corpus(num: int = 2000, seed: int = 0) -> Iterator[str]:
    """Sentences of the toy world, to train the tokenizer on."""
    rng = random.Random(seed)
    yield from ("user\n", "assistant\n") * num
    for pair in pairs(num, seed=seed):
        task = seeing(pair.scene, rng)
        yield from (task.instruction, task.answer, pair.question.text, *pair.responses)
        yield f"Response 1 {pair.question.right_says}: right. Response 2 {pair.question.wrong_says}: wrong."
        yield "Wait, look again: Response 1 is longer and more detailed. Response 2 is better."


def train_tokenizer(
    corpus: Iterable[str], *, vocab_size: int = 512, phrases: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: any text can be encoded, and words of the corpus are one token.

    `phrases` become one token each. The tiny judge gives one to every fixed part of the R1-Reward
    template, which a model of this size would otherwise spend most of its time reading.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in (*TAGS, *phrases)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS[1:]),
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def qwen2_5_vl(tokenizer: Any, *, seed: int = 0, hidden: int = 96, layers: int = 4) -> Any:
    """A random Qwen2.5-VL of about a million parameters; the architecture is the real one."""
    token_id = tokenizer.convert_tokens_to_ids
    end = token_id("<|im_end|>")
    heads = 4
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "initializer_range": INITIALIZER_RANGE,
            "hidden_size": hidden,
            "intermediate_size": hidden * 8 // 3,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": _mrope_section(hidden // heads),
            },
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": token_id("<|endoftext|>"),
        },
        vision_config={
            "depth": 2,
            "initializer_range": INITIALIZER_RANGE,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": hidden,
            "window_size": 112,
            "fullatt_block_indexes": [1],
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
        initializer_range=INITIALIZER_RANGE,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [end]
    model.generation_config.pad_token_id = token_id("<|endoftext|>")
    return model


def _mrope_section(head_size: int) -> list[int]:
    """How time, height and width share the rotary frequencies, as in the 7B model: 1 : 1.5 : 1.5."""
    half = head_size // 2
    time = half // 4
    return [time, (half - time) // 2, half - time - (half - time) // 2]


def create(folder: Path, *, seed: int = 0) -> None:
    """Writes a random tiny Qwen2.5-VL for the toy world as a Hugging Face folder."""
    tokenizer = train_tokenizer(toy_corpus(), phrases=[*template_phrases(), *toy_names()])
    images = Qwen2VLImageProcessorPil(min_pixels=28 * 28 * 4, max_pixels=MAX_TOY_PIXELS)
    model = qwen2_5_vl(tokenizer, seed=seed)
    model.save_pretrained(folder)
    ImageOnlyQwen2_5VLProcessor(images, tokenizer, chat_template=CHAT_TEMPLATE).save_pretrained(folder)
    make_portable(folder, model, [tokenizer.eos_token_id])
