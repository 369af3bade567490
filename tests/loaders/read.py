"""Loads judge folders by transformers alone, any release, and says how far they are from what was saved.

`python read.py FOLDER…` prints one JSON object a folder. Nothing of StableReward is imported.
"""

import inspect
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from PIL import Image
from safetensors.torch import load_file

PIL = "" if tf.__version__.startswith("4.") else "Pil"
"""What the names of image processors that need no torchvision end with."""


@torch.no_grad()
def read(folder: Path) -> dict[str, Any]:
    """What differs, by name; a difference in numbers is the largest one."""
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    inputs = load_file(folder / "inputs.safetensors")
    judge = folder / "judge"
    model, found = getattr(tf, facts["class"]).from_pretrained(judge, dtype="auto", output_loading_info=True)
    wrong = [f"{name}: {sorted(keys)[0]}" for name, keys in found.items() if keys]
    if str(model.dtype) != facts["dtype"]:
        wrong.append(f"dtype: {model.dtype}")
    if facts["stop_ids"]:
        wrong += writes(model, facts["stop_ids"])
    wrong += words(judge, facts)
    taken = inspect.signature(model.forward).parameters
    logits = model.float().eval()(**{name: value for name, value in inputs.items() if name in taken}).logits
    said = logits if logits.ndim == 2 else logits.log_softmax(-1)
    difference = (said - load_file(folder / "expected.safetensors")["expected"]).abs().max().item()
    return {"difference": difference, "wrong": wrong, "pixels": pixels(folder, inputs)}


def words(judge: Path, facts: dict[str, Any]) -> list[str]:
    """Whether the same text is the same tokens, and the same chat the same text."""
    tokenizer = tf.AutoTokenizer.from_pretrained(judge)
    wrong = []
    if [tokenizer(text).input_ids for text in facts["texts"]] != facts["ids"]:
        wrong.append("tokens")
    if (
        tokenizer.apply_chat_template(facts["chat"], add_generation_prompt=True, tokenize=False)
        != facts["chat_text"]
    ):
        wrong.append("chat template")
    return wrong


def writes(model: Any, stop_ids: list[int]) -> list[str]:
    """Whether `generate` samples from all tokens, stops where training stopped, and saves its settings."""
    wrong = []
    settings = model.generation_config
    if settings.eos_token_id != stop_ids:
        wrong.append(f"stops at {settings.eos_token_id}")
    start = torch.tensor([[stop_ids[0]]])
    sampled = {"do_sample": True, "max_new_tokens": 1, "output_scores": True, "return_dict_in_generate": True}
    kept = int(model.generate(start, attention_mask=start * 0 + 1, **sampled).scores[0].isfinite().sum())
    if kept != model.config.get_text_config().vocab_size:
        wrong.append(f"generate samples from {kept} tokens")
    with tempfile.TemporaryDirectory() as again:
        settings.save_pretrained(again)
    return wrong


def pixels(folder: Path, inputs: dict[str, Any]) -> float | None:
    """How far the folder's own image processor is from the numbers that the judge was given."""
    if "pixel_values" not in inputs:
        return None
    named = json.loads((folder / "judge/preprocessor_config.json").read_text(encoding="utf-8"))
    processor = getattr(tf, named["image_processor_type"] + PIL).from_pretrained(folder / "judge")
    made = processor(images=[Image.open(folder / "image.png")], return_tensors="pt")["pixel_values"]
    return (
        float((made - inputs["pixel_values"]).abs().max())
        if made.shape == inputs["pixel_values"].shape
        else 1e9
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            result = read(Path(name))
        except Exception as error:  # noqa: BLE001  a folder that does not load is a result
            result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        print(json.dumps({"version": tf.__version__, **result}), flush=True)
