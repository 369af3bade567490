"""Folders of tiny judges as StableReward saves them, each with what its model said before it was saved.

Settings are those that a loader can lose in silence: a rotary base of 500,000, scaled positions, tied and
untied output weights, merged adapters, weights in bfloat16.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from safetensors.torch import save_file
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from stablereward.policies import tiny, tiny_families
from stablereward.policies.adapters import add_lora
from stablereward.policies.processor import ImageOnlyQwen2_5VLProcessor
from stablereward.policies.saving import make_portable
from stablereward.policies.token import TokenPolicy
from tests.policies.families import picture, tokenizer

BASE = 500_000.0
LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
TEXTS = (
    "Which is larger, and why?",
    " <|im_start|>user\n 3 red circles.",
    "<think>Both.</think><answer>1</answer>",
    "Ünïcödé, 中文, 🦊\n\n\tx",
)
PICTURE = picture(90, 56, 2)


def text_model(family: str, *, tied: bool = False, labels: int = 0, **rope: Any) -> Any:
    """A random text model by the name of its classes; with `labels` a classifier."""
    words = tokenizer()
    settings = {
        **tiny_families._text_settings(words, 64, 2),
        "tie_word_embeddings": tied,
        "rope_parameters": {"rope_type": "default", "rope_theta": BASE, **rope},
        **({"num_labels": labels} if labels else {}),
        **({"sliding_window": None} if family == "Mistral" else {}),
    }
    config = getattr(tf, f"{family}Config")(**settings)
    torch.manual_seed(0)
    return getattr(tf, f"{family}For{'SequenceClassification' if labels else 'CausalLM'}")(config)


def qwen_vl(family: str, *, tied: bool) -> Any:
    """Qwen2-VL or Qwen2.5-VL."""
    config = tiny.qwen2_5_vl(tokenizer(), hidden=64, layers=2).config
    if family == "Qwen2VL":
        kept = config.to_dict()
        kept["text_config"]["model_type"] = "qwen2_vl_text"
        kept["vision_config"] = {
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 64,
            "num_heads": 2,
            "mlp_ratio": 2,
        }
        config = tf.Qwen2VLConfig(**{name: value for name, value in kept.items() if name != "model_type"})
    config.tie_word_embeddings = tied
    config.text_config.rope_parameters["rope_theta"] = BASE
    torch.manual_seed(0)
    return getattr(tf, f"{family}ForConditionalGeneration")(config)


def save_text(folder: Path, family: str, **settings: Any) -> None:
    text_model(family, **settings).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def save_qwen_vl(folder: Path, family: str, *, tied: bool) -> None:
    qwen_vl(family, tied=tied).save_pretrained(folder)
    images = Qwen2VLImageProcessorPil(min_pixels=28 * 28 * 4, max_pixels=tiny.MAX_TOY_PIXELS)
    processor = ImageOnlyQwen2_5VLProcessor(images, tokenizer(), chat_template=tiny.CHAT_TEMPLATE)
    processor.save_pretrained(folder)


def save_tiny(folder: Path, create: Callable[[Path, Any], None]) -> None:
    create(folder, tokenizer())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config["text_config"]
    text["rope_parameters"]["rope_theta"] = BASE
    del text["rope_theta"], text["rope_scaling"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def adapted(policy: TokenPolicy) -> None:
    """Adapters that change something."""
    add_lora(policy, rank=4)
    torch.manual_seed(1)
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)


RAW: dict[str, Callable[[Path], None]] = {
    "Llama": lambda folder: save_text(folder, "Llama"),
    "Llama, scaled positions": lambda folder: save_text(folder, "Llama", **LLAMA_3),
    "Llama, merged adapters": lambda folder: save_text(folder, "Llama"),
    "Llama, bfloat16": lambda folder: save_text(folder, "Llama"),
    "Mistral": lambda folder: save_text(folder, "Mistral"),
    "Qwen2, tied": lambda folder: save_text(folder, "Qwen2", tied=True),
    "Qwen3": lambda folder: save_text(folder, "Qwen3"),
    "Qwen2-VL": lambda folder: save_qwen_vl(folder, "Qwen2VL", tied=False),
    "Qwen2.5-VL": lambda folder: save_qwen_vl(folder, "Qwen2_5_VL", tied=False),
    "Qwen2.5-VL, tied": lambda folder: save_qwen_vl(folder, "Qwen2_5_VL", tied=True),
    "Qwen3-VL, tied": lambda folder: save_tiny(folder, tiny_families.create_qwen3_vl),
    "LLaVA-1.5": lambda folder: save_tiny(folder, tiny_families.create_llava),
}
"""Folders as transformers 5 writes them, by what the table calls them."""
SCORERS = {"Llama, one score": "Llama", "Qwen2, one score": "Qwen2"}


def save_judge(name: str, folder: Path) -> None:
    """`folder/judge` as a policy saves itself, and beside it what the policy's model said."""
    RAW[name](folder / "raw")
    dtype = torch.bfloat16 if "bfloat16" in name else torch.float32
    policy = TokenPolicy.load(folder / "raw", device="cpu", dtype=dtype)
    if "adapters" in name:
        adapted(policy)
    policy.save(folder / "judge")
    model = policy.model if "adapters" in name else plain(policy, dtype)
    describe(folder, model, policy.processor, stop_ids=policy.stop_ids)


def save_shipped(folder: Path) -> None:
    """The judge in the box; its own folder is read."""
    policy = TokenPolicy.load("toy", device="cpu")
    (folder / "judge").symlink_to(policy.source)
    describe(folder, plain(policy, torch.float32), policy.processor, stop_ids=policy.stop_ids)


def plain(policy: TokenPolicy, dtype: torch.dtype) -> Any:
    """The policy's model without what a policy changes in its forward: that costs the last digits."""
    return type(policy.model).from_pretrained(policy.source, dtype=dtype)


def save_scorer(name: str, folder: Path) -> None:
    model = text_model(SCORERS[name], labels=1)
    model.save_pretrained(folder / "judge")
    tokenizer().save_pretrained(folder / "judge")
    make_portable(folder / "judge", model)
    describe(folder, model, tokenizer(), stop_ids=[])


@torch.no_grad()
def describe(folder: Path, model: Any, processor: Any, stop_ids: list[int]) -> None:
    """Writes one chat, its inputs, and what the model makes of them, in float32."""
    words = getattr(processor, "tokenizer", processor)
    sees = processor is not words
    parts: Any = [{"type": "image"}, {"type": "text", "text": "Describe it."}] if sees else TEXTS[0]
    chat = [{"role": "user", "content": parts}]
    text = words.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    inputs = dict(processor(text=[text], return_tensors="pt", **({"images": [PICTURE]} if sees else {})))
    # Whatever the prompt, a completion follows.
    ids = torch.tensor([words("<think>The first is right.</think>").input_ids])
    for name, more in (("input_ids", ids), ("attention_mask", ids * 0 + 1), ("mm_token_type_ids", ids * 0)):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], more], dim=1)
    inputs.pop("token_type_ids", None)
    own = model.dtype
    logits = model.float().eval()(**inputs).logits
    expected = logits if logits.ndim == 2 else logits.log_softmax(-1)
    save_file({name: value.contiguous() for name, value in inputs.items()}, folder / "inputs.safetensors")
    save_file({"expected": expected.contiguous()}, folder / "expected.safetensors")
    PICTURE.save(folder / "image.png")
    facts = {
        "chat": chat,
        "chat_text": text,
        "class": type(model).__name__,
        "dtype": str(own),
        "stop_ids": stop_ids,
        "texts": TEXTS,
        "ids": [words(one).input_ids for one in TEXTS],
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
