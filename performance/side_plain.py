"""A careful script on transformers alone: `generate`, a padded forward in micro-batches, AdamW."""

from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from performance.padded import banned, fixed_batch, padded, processor, repeated
from performance.work import BETAS, LEARNING_RATE, Job, Question, questions, require_length, reward
from performance.worker import Answer, Line, Request, Stopwatch, measured, serve, write_gradient
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs

PROMPTS_AT_ONCE = 20
"""How many questions are judged in one `generate`."""


class Plain:
    """Everything that is ready before the first step."""

    def __init__(self, job: Job) -> None:
        self.job, self.watch = job, Stopwatch(job.device)
        self.processor = processor(job.model)
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(job.model, dtype=torch.float32)
        self.model.to(job.device).train()
        if job.checkpointing:
            self.model.gradient_checkpointing_enable()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=0.0
        )
        shape = job.shape
        self.prompts = iter(questions(shape, job.fresh * shape.prompts, job.seed))
        first = padded(self.processor, questions(shape, shape.prompts, job.seed), "cpu")
        require_length(first["attention_mask"].sum(-1).tolist(), shape)

    def _precision(self) -> torch.autocast:
        kind = self.job.device.split(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda")

    @torch.no_grad()
    def _generate(self, batch: dict[str, Tensor], copies: int, *, stops: bool = False) -> Tensor:
        """New tokens, [B · copies, T]."""
        suppress = banned(self.processor)
        with self._precision():
            out: Tensor = self.model.generate(
                **batch,
                num_return_sequences=copies,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=self.job.shape.completion,
                suppress_tokens=suppress[:-1] if stops else suppress,
            )
        return out[:, batch["input_ids"].shape[1] :]

    def _logprobs(self, prompts: dict[str, Tensor], ids_BT: Tensor) -> Tensor:
        """[B, T]"""
        length = ids_BT.shape[1]
        extended = {
            "input_ids": torch.cat([prompts["input_ids"], ids_BT], dim=1),
            "attention_mask": _extended(prompts["attention_mask"], length, 1),
            "mm_token_type_ids": _extended(prompts["mm_token_type_ids"], length, 0),
        }
        with self._precision():
            logits_BTV = self.model(
                **{**prompts, **extended}, logits_to_keep=length + 1, use_cache=False
            ).logits
        logprobs_BTV = logits_BTV[:, :-1].float().log_softmax(-1)
        return logprobs_BTV.gather(-1, ids_BT[..., None])[..., 0]

    def _backward(self, prompts: dict[str, Tensor], ids_BT: Tensor, weights_BT: Tensor) -> None:
        """Adds the gradient of -(weights · ratio).sum(), micro-batch by micro-batch."""
        total = len(ids_BT)
        size = min(self.job.micro_batch or total, total)
        patches = len(prompts["pixel_values"]) // total if "pixel_values" in prompts else 0
        for start in range(0, total, size):
            rows = slice(start, start + size)
            part = {
                name: value[start * patches : (start + size) * patches]
                if name == "pixel_values"
                else value[rows]
                for name, value in prompts.items()
            }
            logprobs_BT = self._logprobs(part, ids_BT[rows])
            ratio_BT = (logprobs_BT - logprobs_BT.detach()).exp()
            clipped_BT = ratio_BT.clamp(0.8, 1.2)
            weight_BT = weights_BT[rows]
            (-torch.minimum(ratio_BT * weight_BT, clipped_BT * weight_BT).sum()).backward()  # type: ignore[no-untyped-call]

    def _apply(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _next_prompts(self) -> list[Question]:
        return [next(self.prompts) for _ in range(self.job.shape.prompts)]

    def step(self, request: Request) -> Answer:
        """One RL step: rollouts, rewards, advantages and one update."""
        asked = self._next_prompts()

        def once() -> Answer:
            with self.watch.phase("rollout"):
                batch = padded(self.processor, asked, self.job.device)
                self.model.eval()
                ids_BT = self._generate(batch, self.job.shape.group)
                self.model.train()
            texts = self.processor.tokenizer.batch_decode(ids_BT, skip_special_tokens=True)
            rewards_NG = torch.tensor([reward(t) for t in texts]).view(-1, self.job.shape.group)
            centred_NG = rewards_NG - rewards_NG.mean(1, keepdim=True)
            advantages_B = (centred_NG / (rewards_NG.std(1, keepdim=True) + 1e-4)).flatten()
            with self.watch.phase("update"):
                weights_BT = (advantages_B[:, None] / ids_BT.numel()).to(ids_BT.device).expand(ids_BT.shape)
                self._backward(repeated(batch, self.job.shape.group), ids_BT, weights_BT)
                self._apply()
            return {"tokens": ids_BT.numel()}

        return measured(self.job, self.watch, request, once)

    def sft(self, request: Request) -> Answer:
        """One supervised step on `shape.prompts` demonstrations."""
        asked, shape = self._next_prompts(), self.job.shape
        text = "a" + " a" * (shape.completion - 2) + "<|im_end|>"

        def once() -> Answer:
            batch = padded(self.processor, asked, self.job.device)
            ids_1T = self.processor.tokenizer([text], return_tensors="pt", add_special_tokens=False).input_ids
            logprobs_BT = self._logprobs(batch, ids_1T.to(self.job.device).expand(len(asked), -1))
            (-logprobs_BT.mean()).backward()  # type: ignore[no-untyped-call]
            self._apply()
            return {"tokens": logprobs_BT.numel()}

        return measured(self.job, self.watch, request, once)

    def gradient(self, request: Request) -> Answer:
        """Writes the gradient of fixed rollouts to `request["file"]`."""
        batch = fixed_batch(self.processor, self.job.shape, self.job.device, self.job.seed)
        prompts, ids_BT, advantages_B = batch
        self._backward(prompts, ids_BT, (advantages_B[:, None] / ids_BT.numel()).expand(ids_BT.shape))
        return write_gradient(self.model, request["file"])

    def judge(self, request: Request) -> Answer:
        """`votes` completions of each prompt by `num_return_sequences`, or by as many calls with one."""
        asked, votes = self._to_judge(request), request["votes"]
        self.model.eval()
        end = self.processor.tokenizer.eos_token_id

        def once() -> Answer:
            tokens = 0
            for start in range(0, len(asked), PROMPTS_AT_ONCE):
                for copies in [1] * votes if request["one_by_one"] else [votes]:
                    batch = padded(self.processor, asked[start : start + PROMPTS_AT_ONCE], self.job.device)
                    ids_BT = self._generate(batch, copies, stops=request["toy"])
                    before_end_BT = (ids_BT == end).cumsum(-1) == 0
                    tokens += int((before_end_BT.sum(-1) + 1).clamp(max=ids_BT.shape[1]).sum())
                    self.processor.tokenizer.batch_decode(ids_BT, skip_special_tokens=True)
            return {"tokens": tokens}

        return measured(self.job, self.watch, request, once)

    def _to_judge(self, request: Request) -> list[Question]:
        if not request["toy"]:
            return questions(self.job.shape, request["pairs"], request["seed"])
        made = [
            r1_reward(p.preference()) for p in pairs(request["pairs"], seed=request["seed"], held_out=True)
        ]
        return [Question(text=p.text, images=p.images) for p in made]  # type: ignore[arg-type]


def _extended(values_BP: Tensor, length: int, value: int) -> Tensor:
    return torch.cat([values_BP, values_BP.new_full((len(values_BP), length), value)], dim=1)


def run(job: Job, line: Line) -> None:
    plain: Any = Plain(job)
    serve(line, {"step": plain.step, "sft": plain.sft, "gradient": plain.gradient, "judge": plain.judge})
