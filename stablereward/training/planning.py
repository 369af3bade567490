"""What the stages of a run need at their peak, before it starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from stablereward.engines.prompt_cache import SharedCache, cache_name
from stablereward.errors import ModelError
from stablereward.policies.attention import arranged, arrangement_of
from stablereward.policies.processor import UNREADABLE, cause, load_processor
from stablereward.policies.scoring import KEPT, LOGITS, ChosenLogprobs
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree, tree_attention
from stablereward.training.footprint import Peak, peak
from stablereward.training.outline import Outline, build
from stablereward.types import Prompt

CACHED_TOKENS = 2**16
"""`HFEngine.max_batch_tokens`."""
META = torch.device("meta")


class Length(NamedTuple):
    """Tokens of a prompt, its images' among them, and the patches these are made of."""

    tokens: int
    patches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update over `prompts` with `group` completions each, cut by `token_budget` (`batching.fill`).

    Without `words` no token's probability is asked for: a head reads states, as in a reward model.
    """

    prompts: int
    group: int
    completion: int
    token_budget: int
    words: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """`group` samples for each of `prompts`; without a number there are more prompts than fit at once."""

    group: int
    completion: int
    prompts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A stage: a model that samples and, if there is an `update`, is trained.

    `rank` is that of adapters; `half` keeps the weights in bfloat16.
    """

    name: str
    update: Update | None = None
    drawing: Drawing | None = None
    reference: bool = False
    rank: int | None = None
    checkpointing: bool = False
    half: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Bytes of a stage. Sampling, the backward pass and the optimiser's step take turns.

    On a CPU the turns `add_up`: freed memory stays with the process (`policies.host_memory`), in pieces that
    the next turn often cannot use. `copy` are kept copies of weights in bfloat16, `scratch` is what sampling
    takes beside keys and values.
    """

    name: str
    weights: int
    reference: int = 0
    moments: int = 0
    gradients: int = 0
    copy: int = 0
    cache: int = 0
    scratch: int = 0
    activations: int = 0
    step: int = 0
    add_up: bool = False

    @property
    def peak(self) -> int:
        """What is held through all turns, and the largest of them or their sum."""
        sampling = self.cache + self.scratch + self.copy
        backward = self.gradients + self.activations + self.copy
        turns = (sampling, backward, self.step + (0 if self.add_up else self.gradients))
        return self.weights + self.reference + self.moments + (sum if self.add_up else max)(turns)


class Stated(NamedTuple):
    """What a recipe without a language model says of its memory: words for people, and bytes at the peak."""

    words: str
    peak: int


class Shapes:
    """A model's configuration, of which passes are taken once each."""

    def __init__(self, config: Any) -> None:
        self.config = config


def without_weights(folder: Path, config: Any) -> TokenPolicy:
    """The model on shapes alone: it encodes prompts with the model's own processor. Raises ModelError."""
    try:
        processor = load_processor(folder, config.model_type)
    except UNREADABLE as error:
        raise ModelError(f"{folder}: no processor can be loaded: {cause(error)}") from error
    return TokenPolicy(build(config), processor, folder)


def longest(policy: TokenPolicy, prompts: Sequence[Prompt]) -> Length:
    """The longest of these prompts. Raises DataError."""
    vision = getattr(policy.model.config, "vision_config", None)
    size = 3 * vision.patch_size**2 * getattr(vision, "temporal_patch_size", 1) if vision else 1
    encoded = [policy.encode(prompt) for prompt in prompts]
    pixels = [e.media["pixel_values"].numel() if "pixel_values" in e.media else 0 for e in encoded]
    return Length(max(e.num_tokens for e in encoded), max(pixels) // size)


def needs(shapes: Shapes, work: Work, prompt: Length, *, gpu: bool) -> Needs:
    """The bytes of one stage. Raises ModelError for a model that cannot be run on shapes alone."""
    kept = (work.half, work.rank, work.checkpointing)
    outline = _outline(shapes, *kept, gpu)
    trained = outline.num_parameters(trained=True) if work.update else 0
    weights = (2 if work.half else 4) * outline.num_parameters()
    found = Needs(
        name=work.name,
        weights=weights,
        reference=weights if work.reference and work.rank is None else 0,
        moments=8 * trained,
        add_up=not gpu,
    )
    if work.drawing is not None:
        cache_bytes, scratch, copy = _drawing(shapes, kept, work.drawing, prompt, gpu)
        found = replace(found, cache=cache_bytes, scratch=scratch, copy=copy)
    if work.update is not None:
        activations, copy = _backward(shapes, kept, work.update, prompt, gpu)
        # AdamW takes roots: of all parameters at once on a GPU, of one after the other on a CPU.
        step = 4 * trained if gpu else 2 * 4 * outline.largest()
        found = replace(found, gradients=4 * trained, activations=activations, copy=copy, step=step)
    return found


@cache
def _outline(shapes: Shapes, half: bool, rank: int | None, checkpointing: bool, gpu: bool) -> Outline:
    halved = gpu and not half
    return Outline(shapes.config, half=half, halved=halved, rank=rank, checkpointing=checkpointing)


def rows_of(update: Update, prompt: Length) -> tuple[int, int]:
    """Rows of a full micro-batch, and the length of its completions: as near to the budget as these get."""
    whole = prompt.tokens + update.group * (update.completion - 1)
    if whole >= update.token_budget:
        return 1, update.completion
    num_rows = min(update.prompts, -(-update.token_budget // whole))
    left = update.token_budget // num_rows - prompt.tokens
    return num_rows, max(1, min(update.completion, left // update.group + 1))


@cache
def _backward(
    shapes: Shapes, kept: tuple[bool, int | None, bool], update: Update, prompt: Length, gpu: bool
) -> Peak:
    """Bytes of a micro-batch beside parameters and gradients: activations, and copies of weights."""
    outline = _outline(shapes, *kept, gpu)
    num_rows, completion = rows_of(update, prompt)
    # Prompts of one length are the exception, and their mask is smaller.
    lengths = [prompt.tokens - (row > 0) for row in range(num_rows)]
    tree = Tree.build([_group(length, update.group, completion) for length in lengths], 0)
    attention = _attention(outline, tree)
    sources_N = tree.sources_BT[tree.mask_BT].to(META)
    targets_N = tree.targets_BT[tree.mask_BT].to(META)
    inputs = {"input_ids": tree.input_ids_RL.to(META), "position_ids": tree.positions_ARL[0].to(META)}
    head = outline.model.get_output_embeddings()
    vocabulary, num_targets = len(head.weight), len(targets_N)
    size = max(1, LOGITS["cuda" if gpu else "cpu"] // vocabulary)
    kept_probabilities = 4 * vocabulary * max(0, num_targets - size)
    if num_targets * vocabulary > KEPT or not update.words:
        kept_probabilities = 0

    def forward() -> Tensor:
        states_RLD = outline.model.get_decoder()(use_cache=False, **inputs, **attention).last_hidden_state
        states_ND: Tensor = states_RLD.flatten(0, 1)[sources_N]
        if not update.words:
            return states_ND
        # Scoring goes piece by piece, and one piece shows what it takes.
        piece = (states_ND[:size], head.weight, head.bias, targets_N[:size], 1.0, ())
        logprobs_N: Tensor = ChosenLogprobs.apply(*piece)[0]  # type: ignore[no-untyped-call]
        return logprobs_N

    outline.train()
    for parameter in outline.parameters():
        # Gradients of earlier micro-batches are there.
        parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
    taken = _taken(outline, forward, backward=True)
    vision = outline.vision()
    looking = int(num_rows * prompt.patches * max(vision.kept, vision.block))
    return Peak(taken.bytes - taken.copies + kept_probabilities + looking, taken.copies)


@cache
def _drawing(
    shapes: Shapes, kept: tuple[bool, int | None, bool], drawing: Drawing, prompt: Length, gpu: bool
) -> tuple[int, int, int]:
    """Bytes of keys and values, of what else is there while sampling, and of copies of weights."""
    outline = _outline(shapes, *kept, gpu)
    row = (prompt.tokens + drawing.completion) * drawing.group
    num_rows = max(1, CACHED_TOKENS // row)
    num_rows = num_rows if drawing.prompts is None else min(num_rows, drawing.prompts)
    num_samples = num_rows * drawing.group
    prompts = torch.zeros((num_rows, prompt.tokens), dtype=torch.long, device=META)
    shared = SharedCache(torch.full((num_rows,), prompt.tokens)) if outline.shares_prompts else None
    copied = DynamicCache(config=outline.model.config.get_text_config())
    decoder = outline.model.get_decoder()
    arguments = {cache_name(decoder): copied} if shared is None else shared.arguments(decoder)

    def prefill() -> Tensor:
        states: Tensor = decoder(
            input_ids=prompts,
            position_ids=torch.zeros_like(prompts),
            use_cache=True,
            **arguments,
        ).last_hidden_state
        return states

    def choose() -> Tensor:
        weight = outline.model.get_output_embeddings().weight
        states_SD = torch.empty((num_samples, weight.shape[1]), device=META, dtype=weight.dtype)
        logits_SV = outline.model.get_output_embeddings()(states_SD)
        return outline.logprobs(logits_SV).exp().double().cumsum(-1)

    outline.eval()
    read = _taken(outline, prefill, backward=False)
    chosen = _taken(outline, choose, backward=False)
    pairs = [(layer.keys, layer.values) for layer in copied.layers] if shared is None else shared.prompts
    per_token = sum(keys.nbytes + values.nbytes for keys, values in pairs) / prompts.numel()
    read_tokens = num_samples * prompt.tokens if shared is None else prompts.numel()
    held = int(per_token * (read_tokens + num_samples * drawing.completion))
    looking = int(num_rows * prompt.patches * outline.vision().read)
    reading = max(read.bytes - read.copies, looking)
    # Keys of completions do not exist yet while prompts are read.
    joined = 0 if shared is None else outline.joined()
    writing = chosen.bytes - chosen.copies + joined
    return held, max(reading - held, writing), read.copies + chosen.copies


def _taken(outline: Outline, forward: Callable[[], Tensor], *, backward: bool) -> Peak:
    try:
        return peak(forward, halved=outline.halved, backward=backward)
    except (NotImplementedError, RuntimeError) as error:
        raise ModelError(
            f"{outline.model.config.model_type}: what its layers do depends on numbers, so that it cannot be "
            f"planned by its shapes ({str(error).splitlines()[0][:80]}); try a short run"
        ) from error


def _group(prompt: int, group: int, completion: int) -> EncodedGroup:
    encoded = EncodedPrompt(
        input_ids_P=torch.zeros(prompt, dtype=torch.long), positions_AP=torch.arange(prompt)[None], media={}
    )
    return EncodedGroup(prompt=encoded, completions=((0,) * completion,) * group)


def _attention(outline: Outline, tree: Tree) -> dict[str, Any]:
    """What `TokenPolicy.forward` tells the model of who attends to whom, on the meta device."""
    if not outline.shares_prompts:
        dtype = torch.bfloat16 if outline.halved else torch.float32
        return {"attention_mask": tree_attention(tree.segments_RL, dtype).to(META)}
    arrangement = arrangement_of(tree)
    moved = {
        field.name: value.to(META)
        for field in fields(arrangement)  # type: ignore[arg-type]
        if isinstance(value := getattr(arrangement, field.name), Tensor)
    }
    return arranged(replace(arrangement, **moved), META)  # type: ignore[type-var]
