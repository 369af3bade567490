"""The token policy: a language or vision-language model as what is sampled, scored and trained.

Any Hugging Face model that `AutoModelForImageTextToText` or `AutoModelForCausalLM` loads takes this
one path, the tiny judge and a 7B model alike.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from stablereward.errors import ConfigError, DataError, ModelError
from stablereward.policies.attention import arranged, arrangement_of, route
from stablereward.policies.chat_template import after_opening, end_of_turn, opens_thinking
from stablereward.policies.config_file import read_config
from stablereward.policies.dropout import without_dropout
from stablereward.policies.encoding import Encoder
from stablereward.policies.host_memory import keep_freed_memory
from stablereward.policies.merging import merged_weights
from stablereward.policies.policy import Scored
from stablereward.policies.processor import UNREADABLE, cause, load_processor
from stablereward.policies.saving import make_portable
from stablereward.policies.scoring import ChosenLogprobs, log_distribution
from stablereward.policies.shipped import model_folder
from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree, tree_attention
from stablereward.policies.vision import quicken
from stablereward.policies.vocabulary import Vocabulary
from stablereward.types import Prompt, Response

NUMBERS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_PROCESSOR_FILES = (".json", ".jinja", ".txt", ".model")
_LOGIT_SCALES = ("logit_scale", "logits_scaling", "final_logit_softcapping")
_UNSCALED = (None, 1, 1.0)
_PLACEHOLDERS = (
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
    "image_token_index",
)


class TokenPolicy(nn.Module):
    """A Hugging Face model with its processor.

    `forward` scores groups of completions with every prompt read once, images included. It is one
    module, so that wrappers for several GPUs, LoRA and checkpointing apply to it as they are.
    `compute_dtype` is bfloat16 on a GPU, whatever the weights are kept in, and the weights' own elsewhere.
    Dropout is off, in training too: what is trained is what was sampled. `stop_ids` end a completion; the
    first of them, `end_id`, is what training teaches. `suppressed` are never sampled: the placeholders of
    images, and ids whose text is dropped when they are read.
    """

    def __init__(self, model: Any, processor: Any, source: Path) -> None:
        """Raises ModelError for a model whose log-probabilities would not be exact here."""
        super().__init__()
        scaled = [
            name
            for name in _LOGIT_SCALES
            if getattr(model.config.get_text_config(), name, None) not in _UNSCALED
        ]
        if scaled:
            raise ModelError(
                f"{source}: {model.config.model_type} scales its logits ({scaled[0]}), which is not done "
                "here; serve the model and judge with it over HTTP"
            )
        if not _attends_to_everything(model.config.get_text_config()):
            raise ModelError(
                f"{source}: {model.config.model_type} attends through a window or a running state, which is "
                "not computed exactly here; serve the model and judge with it over HTTP"
            )
        self.model = model
        self.had_dropout = without_dropout(model)
        self.shares_prompts = route(model)
        quicken(model)
        self.processor = processor
        self.source = source
        self.tokenizer = getattr(processor, "tokenizer", processor)
        size = len((model.get_output_embeddings() or model.get_input_embeddings()).weight)
        placeholders = _placeholder_ids(model.config, size, source)
        self.stop_ids = _stop_ids(model, processor)
        self.end_id = self.stop_ids[0]
        if getattr(model, "generation_config", None) is not None:
            model.generation_config.eos_token_id = self.stop_ids
        self.vocabulary = Vocabulary(self.tokenizer, size, placeholders=placeholders, stop_ids=self.stop_ids)
        self.suppressed = sorted({*placeholders, *self.vocabulary.unsaid})
        self.compute_dtype = torch.bfloat16 if self.device.type == "cuda" else self._own_dtype
        self.value_head: nn.Module | None = None
        self._encoder = Encoder(model, processor, source, self.vocabulary)

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        dtype: torch.dtype = torch.float32,
        trust_remote_code: bool = False,
    ) -> "TokenPolicy":
        """Loads a model folder in Hugging Face format, or a shipped model by name.

        Without `device` a GPU is used where there is one. Only safetensors are read. Raises ConfigError
        for a device that is not there and ModelError with the folder and the cause.
        """
        where = device_named(device)
        if where.type == "cpu":
            keep_freed_memory()
        folder = model_folder(path_or_name)
        try:
            config = read_config(folder, trust_remote_code=trust_remote_code)
            kind = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
            auto = AutoModelForImageTextToText if kind else AutoModelForCausalLM
            model, found = auto.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
            )
            processor = load_processor(folder, config.model_type, trust_remote_code=trust_remote_code)
        except UNREADABLE as error:
            raise ModelError(f"{folder}: cannot be loaded as a model: {cause(error)}") from error
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise ModelError(f"{folder}: {len(missing)} weights are not in the files, such as {missing[0]}")
        return cls(model.to(where), processor, folder)

    def save(self, folder: Path) -> None:
        """Writes weights (safetensors), config and processor as a Hugging Face folder for others to load.

        Adapters are written merged; the live weights stay as they are. See `saving.make_portable`.
        """
        self.model.save_pretrained(folder, state_dict=merged_weights(self.model))
        # The files of tokenizer and processor are copied, so that what was loaded is what others load.
        for path in self.source.iterdir():
            if (
                path.suffix in _PROCESSOR_FILES
                and not (folder / path.name).exists()
                and "index" not in path.name
            ):
                shutil.copyfile(path, folder / path.name)
        writes = getattr(self.model, "generation_config", None) is not None
        make_portable(folder, self.model, self.stop_ids if writes else ())

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.model.parameters()).device
        return device

    def precision(self) -> torch.autocast:
        """Computes in `compute_dtype`; float32 weights keep the small steps that bfloat16 would lose."""
        enabled = self._own_dtype != self.compute_dtype
        return torch.autocast(self.device.type, self.compute_dtype, enabled=enabled)

    @property
    def _own_dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.get_input_embeddings().weight.dtype
        return dtype

    @property
    def max_context(self) -> int:
        """The longest row of tokens the model was made for."""
        return self._encoder.max_context

    @property
    def pad_token_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else self.stop_ids[0])

    def notes(self) -> list[str]:
        """What was found in this model that is handled in a way of its own, in words."""
        found = []
        if self.vocabulary.special_tags:
            found.append(f"{' '.join(self.vocabulary.special_tags)} are special tokens and count as text")
        if opens_thinking(self.processor):
            found.append("the chat template opens <think>, and completions begin with it")
        if self.tokenizer.eos_token_id not in (None, self.end_id):
            end = self.tokenizer.convert_ids_to_tokens(self.end_id)
            found.append(f"a turn ends with the chat template's {end}, not with {self.tokenizer.eos_token}")
        if self.vocabulary.textless:
            found.append(f"{len(self.vocabulary.textless)} ids are no token and are never sampled")
        if self.had_dropout:
            found.append("its dropout is off")
        return found

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """The prompt as tokens, positions and preprocessed images; kept, so each is prepared once.

        Raises DataError for an image that cannot be read or has a shape the model cannot take, and for a
        prompt longer than the context.
        """
        return self._encoder.encode(prompt)

    def encode_all(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt | DataError]:
        """`encode` of many, which costs less together; the error in the place of one that it raises for."""
        return self._encoder.encode_all(prompts)

    def text(self, prompt: EncodedPrompt, token_ids: Sequence[int]) -> str:
        """What a completion says, together with the `<think>` that the chat template may have opened."""
        return prompt.opened + self.decode(token_ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, the tags of a judgement included, without control and end tokens."""
        return self.vocabulary.text(token_ids)

    def completion(self, prompt: EncodedPrompt, text: str) -> tuple[int, ...]:
        """The token ids that write `text` after the prompt, end token included: the inverse of `text`."""
        return (*self.vocabulary.ids(after_opening(prompt.opened, text)), self.end_id)

    def encode_answered(self, prompt: Prompt, responses: Sequence[Response]) -> list[EncodedGroup]:
        """The prompt and each response as the turn that follows it, as rows whose completions together are
        the responses in order: one row for texts, which share the prompt, else one for each response.

        The tokens are those of the whole dialogue in the chat template (see `Encoder.answered`). Raises as
        `encode` does.
        """
        return self._encoder.answered(prompt, responses)

    def tree(self, groups: Sequence[EncodedGroup]) -> Tree:
        """The groups laid out for `forward`, on the model's device."""
        return Tree.build(groups, self.pad_token_id).to(self.device)

    def states(self, tree: Tree) -> Tensor:
        """The last hidden states [R, L, D] of the tree's rows, in `compute_dtype`."""
        positions = tree.positions_ARL
        if self.shares_prompts:
            attention = arranged(arrangement_of(tree), self.device)
        else:
            attention = {"attention_mask": tree_attention(tree.segments_RL, self.compute_dtype)}
        with self.precision():
            states_RLD: Tensor = self.model.model(
                input_ids=tree.input_ids_RL,
                position_ids=positions if positions.shape[0] > 1 else positions[0],
                use_cache=False,
                **attention,
                **tree.media,
            ).last_hidden_state
        return states_RLD

    def forward(self, tree: Tree, temperature: float = 1.0) -> Scored:
        """Log-probabilities and entropies of every completion token, in float32."""
        with self.precision():
            states_ND = self.states(tree).flatten(0, 1)[tree.sources_BT[tree.mask_BT]]
            targets_N = tree.targets_BT[tree.mask_BT]
            head = self.model.get_output_embeddings()
            logprobs_N, entropy_N = ChosenLogprobs.apply(  # type: ignore[no-untyped-call]
                states_ND, head.weight, head.bias, targets_N, temperature, self.suppressed
            )
            values_N = None if self.value_head is None else self.value_head(states_ND).float()
        zeros_BT = torch.zeros(tree.mask_BT.shape, dtype=torch.float32, device=states_ND.device)
        return Scored(
            zeros_BT.masked_scatter(tree.mask_BT, logprobs_N),
            zeros_BT.masked_scatter(tree.mask_BT, entropy_N),
            None if values_N is None else zeros_BT.masked_scatter(tree.mask_BT, values_N),
        )

    def logprobs(self, logits_NV: Tensor, temperature: float = 1.0) -> Tensor:
        """The distribution that is sampled from: tempered, without the tokens in `suppressed`.

        A sampled image placeholder would make the next forward fail, and a control token would be a step
        without text, so sampler and trainer both leave those tokens out and agree on every probability.
        """
        return log_distribution(logits_NV, temperature, self.suppressed)


def device_named(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"the device {name!r} cannot be used here; `stablereward doctor` lists devices"
        ) from error


def number_named(name: str | None, device: torch.device) -> torch.dtype:
    """A number type by name; without one bfloat16 on a GPU and float32 on a CPU. Raises ConfigError."""
    chosen = name or ("float32" if device.type == "cpu" else "bfloat16")
    if chosen not in NUMBERS:
        raise ConfigError(f"dtype is {chosen!r}; it must be one of {', '.join(NUMBERS)}")
    return NUMBERS[chosen]


def _attends_to_everything(text_config: Any) -> bool:
    """Only then does the tree's mask say all there is to say, and does padding leave no trace."""
    kinds = getattr(text_config, "layer_types", None)
    if kinds is None:
        return getattr(text_config, "sliding_window", None) is None
    return set(kinds) == {"full_attention"}


def _placeholder_ids(config: Any, size: int, source: Path) -> list[int]:
    named = {name: getattr(config, name, None) for name in _PLACEHOLDERS}
    found = {name: number for name, number in named.items() if number is not None}
    for name, number in found.items():
        if not 0 <= number < size:
            raise ModelError(
                f"{source}: {name} is {number} in config.json, and the model has tokens 0 to {size - 1}; "
                "correct it"
            )
    return sorted({*found.values()})


def _stop_ids(model: Any, processor: Any) -> list[int]:
    """The tokens that end a completion: what ends a turn of the chat template, the tokenizer's end token, and
    those of the generation config. The first that there is comes first."""
    tokenizer = getattr(processor, "tokenizer", processor)
    settings = getattr(model, "generation_config", None)  # a classifier has none
    stops = None if settings is None else settings.eos_token_id
    named = [stops] if isinstance(stops, int) else sorted(stops or ())
    found = [i for i in (end_of_turn(processor), tokenizer.eos_token_id, *named) if i is not None]
    if not found:
        raise ModelError(
            "the model names no end-of-sequence token; set eos_token_id in generation_config.json"
        )
    return list(dict.fromkeys(found))
