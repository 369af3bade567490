"""A careful script on transformers alone: `generate`, a padded forward in micro-batches, AdamW."""

import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from performance.padded import Batch, banned, fixed_batch, flat, padded, processor, repeated
from performance.work import BETAS, LEARNING_RATE, Job, prompts_of, require_length, reward
from performance.worker import Answer, Line, Request, Work, Worker, write_gradient
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.types import Prompt

PROMPTS_AT_ONCE = 20
"""How many prompts are judged in one `generate`."""


class Plain(Worker):
    """Everything that is ready before the first step."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.processor = processor(job.model)
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(job.model, dtype=torch.float32)
        self.model.to(self.device.place).train()
        if job.checkpointing:
            checkpoint_layers(self.model)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=0.0
        )
        shape = job.shape
        self.prompts = iter(prompts_of(shape, job.fresh * shape.prompts, job.seed))
        first = self._padded(prompts_of(shape, shape.prompts, job.seed))
        require_length(first["attention_mask"].sum(-1).tolist(), shape)

    def _padded(self, asked: list[Prompt]) -> Batch:
        return padded(self.processor, asked, self.device.place)

    def _next_prompts(self) -> list[Prompt]:
        return [next(self.prompts) for _ in range(self.job.shape.prompts)]

    @torch.no_grad()
    def _generate(self, batch: Batch, copies: int, *, stops: bool = False) -> Tensor:
        """New tokens, [B · copies, T]."""
        suppress = banned(self.processor)
        self.model.eval()
        with self.device.precision():
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
        self.model.train()
        return out[:, batch["input_ids"].shape[1] :]

    def _logprobs(self, prompts: Batch, ids_BT: Tensor) -> Tensor:
        """[B, T]"""
        length = ids_BT.shape[1]
        extended = {
            "input_ids": torch.cat([prompts["input_ids"], ids_BT], dim=1),
            "attention_mask": _extended(prompts["attention_mask"], length, 1),
            "mm_token_type_ids": _extended(prompts["mm_token_type_ids"], length, 0),
        }
        with self.device.precision():
            logits_BTV = self.model(
                **{**prompts, **extended}, logits_to_keep=length + 1, use_cache=False
            ).logits
        logprobs_BTV = logits_BTV[:, :-1].float().log_softmax(-1)
        return logprobs_BTV.gather(-1, ids_BT[..., None])[..., 0]

    def _backward(self, prompts: Batch, ids_BT: Tensor, advantages_B: Tensor) -> None:
        """Adds the gradient of the clipped loss, micro-batch by micro-batch."""
        size = self.job.micro_batch or len(ids_BT)
        for start in range(0, len(ids_BT), size):
            rows = slice(start, start + size)
            part = flat({name: value[rows] for name, value in prompts.items()})
            logprobs_BT = self._logprobs(part, ids_BT[rows])
            ratio_BT = (logprobs_BT - logprobs_BT.detach()).exp()
            weight_B1 = advantages_B[rows, None] / ids_BT.numel()
            surrogate_BT = torch.minimum(ratio_BT * weight_B1, ratio_BT.clamp(0.8, 1.2) * weight_B1)
            (-surrogate_BT.sum()).backward()  # type: ignore[no-untyped-call]

    def _apply(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def step(self, request: Request) -> Work:
        """One RL step: rollouts, rewards, advantages and one update."""
        asked, group = self._next_prompts(), self.job.shape.group

        def work() -> Answer:
            with self.watch.phase("rollout"):
                batch = self._padded(asked)
                ids_BT = self._generate(batch, group)
            texts = self.processor.tokenizer.batch_decode(ids_BT, skip_special_tokens=True)
            rewards_NG = torch.tensor([reward(t) for t in texts]).view(-1, group)
            # A group of one has no spread; its advantage is 0 and its cost the same.
            spread_N1 = rewards_NG.std(1, keepdim=True, correction=min(1, group - 1))
            advantages_NG = (rewards_NG - rewards_NG.mean(1, keepdim=True)) / (spread_N1 + 1e-4)
            with self.watch.phase("update"):
                self._backward(repeated(batch, group), ids_BT, advantages_NG.flatten().to(ids_BT.device))
                self._apply()
            return {"tokens": ids_BT.numel()}

        return work

    def sft(self, request: Request) -> Work:
        """One supervised step on `shape.prompts` demonstrations."""
        asked = self._next_prompts()
        text = "a" + " a" * (self.job.shape.completion - 2) + "<|im_end|>"

        def work() -> Answer:
            batch = self._padded(asked)
            ids_1T = self.processor.tokenizer([text], return_tensors="pt", add_special_tokens=False).input_ids
            logprobs_BT = self._logprobs(batch, ids_1T.to(self.device.place).expand(len(asked), -1))
            (-logprobs_BT.mean()).backward()  # type: ignore[no-untyped-call]
            self._apply()
            return {"tokens": logprobs_BT.numel()}

        return work

    def gradient(self, request: Request) -> Work:
        """Writes the gradient of fixed rollouts to `request["file"]`."""

        def work() -> Answer:
            self._backward(*fixed_batch(self.processor, self.job))
            return write_gradient(self.model, request["file"])

        return work

    def judge(self, request: Request) -> Work:
        """`votes` completions of each prompt by `num_return_sequences`, or by as many calls with one."""
        num, seed, votes = request["pairs"], request["seed"], request["votes"]
        toy = [r1_reward(pair.preference()) for pair in pairs(num, seed=seed, held_out=True)]
        asked = toy if request["toy"] else prompts_of(self.job.shape, num, seed)
        calls = [1] * votes if request["one_by_one"] else [votes]
        tokenizer = self.processor.tokenizer

        def work() -> Answer:
            tokens = 0
            for start in range(0, num, PROMPTS_AT_ONCE):
                for copies in calls:
                    batch = self._padded(asked[start : start + PROMPTS_AT_ONCE])
                    ids_BT = self._generate(batch, copies, stops=request["toy"])
                    before_end_BT = (ids_BT == tokenizer.eos_token_id).cumsum(-1) == 0
                    tokens += int((before_end_BT.sum(-1) + 1).clamp(max=ids_BT.shape[1]).sum())
                    tokenizer.batch_decode(ids_BT, skip_special_tokens=True)
            return {"tokens": tokens}

        return work


def _extended(values_BP: Tensor, length: int, value: int) -> Tensor:
    return torch.cat([values_BP, values_BP.new_full((len(values_BP), length), value)], dim=1)


def run(job: Job, line: Line) -> None:
    Plain(job).serve(line)
