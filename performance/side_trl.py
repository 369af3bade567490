"""TRL's side, in TRL's environment: its own `train()`, held at the edges of a step by a callback."""

import tempfile
from typing import Any

import torch
from datasets import Dataset, Image, List
from transformers import Qwen2_5_VLForConditionalGeneration, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from performance.device import Device
from performance.padded import banned, fixed_batch, flat, processor
from performance.work import BETAS, LEARNING_RATE, Job, prompts_of, reward
from performance.worker import Answer, Line, Stopwatch, write_gradient


def _reward(completions: list[Any], **_: Any) -> list[float]:
    return [reward(completion[0]["content"]) for completion in completions]


class Trainer(GRPOTrainer):
    """TRL's trainer with a stopwatch on two of its methods."""

    watch: Stopwatch
    tokens = 0

    def _generate(self, prompts: Any) -> Any:
        with self.watch.phase("rollout"):
            made = super()._generate(prompts)
        self.tokens = sum(len(ids) for ids in made[1])
        return made

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        with self.watch.phase("before_update"):
            return super()._generate_and_score_completions(inputs)


class Held(TrainerCallback):
    """Waits for a command before every step; the waiting is not timed.

    The answer to a step is sent once the next could begin: until then the trainer loads data, and
    would take the processor from whoever is on turn.
    """

    def __init__(self, trainer: Trainer, job: Job, line: Line) -> None:
        self.trainer, self.job, self.line = trainer, job, line
        self.device = Device(job.device)
        self.held: int | None = None
        self.answer: Answer = {"ready": True}

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.line.send(self.answer)
        while (request := self.line.recv())["do"] != "step":
            self.line.send(gradient(self.trainer, self.job, request["file"]))
        self.trainer.watch.take()
        self.held = self.device.start_memory() if request.get("memory") else None
        self.start = self.trainer.watch.now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seconds = self.trainer.watch.now() - self.start
        if self.held is not None:
            self.answer = self.device.memory_since(self.held)
            return
        phases = self.trainer.watch.take()
        self.answer = {
            "step": seconds,
            "rollout": phases["rollout"],
            "update": seconds - phases["before_update"],
            "tokens": self.trainer.tokens,
        }


def gradient(trainer: Trainer, job: Job, file: str) -> Answer:
    """Writes the gradient of TRL's loss on fixed rollouts."""
    prompts, ids_BT, advantages_B = fixed_batch(trainer.processing_class, job)
    kinds_BT = torch.zeros_like(ids_BT)
    inputs: dict[str, Any] = {
        **flat(prompts),
        "prompt_ids": prompts["input_ids"],
        "prompt_mask": prompts["attention_mask"],
        "completion_ids": ids_BT,
        "completion_mask": torch.ones_like(ids_BT),
        "advantages": advantages_B,
        "mm_token_type_ids": torch.cat([prompts["mm_token_type_ids"], kinds_BT], dim=1),
        "num_items_in_batch": torch.tensor(ids_BT.numel()),
        "num_images": [1] * len(ids_BT) if job.shape.image else None,
    }
    before, trainer.current_gradient_accumulation_steps = trainer.current_gradient_accumulation_steps, 1
    trainer._compute_loss(trainer.model, inputs).backward()
    trainer.current_gradient_accumulation_steps = before
    return write_gradient(trainer.model, file)


def _dataset(job: Job) -> Dataset:
    made = prompts_of(job.shape, job.fresh * job.shape.prompts, job.seed)
    rows = {"prompt": [[{"role": "user", "content": q.text}] for q in made]}
    if not job.shape.image:
        return Dataset.from_dict(rows)
    dataset = Dataset.from_dict({**rows, "images": [list(q.images) for q in made]})
    return dataset.cast_column("images", List(Image()))


def run(job: Job, line: Line) -> None:
    """Trains until no more commands come."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(job.model, dtype=torch.float32)
    using, device = processor(job.model), Device(job.device)
    micro_batch = job.micro_batch or job.shape.samples
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=job.shape.samples // micro_batch,
        num_generations=job.shape.group,
        max_completion_length=job.shape.completion,
        max_steps=10**6,
        loss_type="grpo",
        beta=0.0,
        temperature=1.0,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        weight_decay=0.0,
        max_grad_norm=1.0,
        generation_kwargs={"suppress_tokens": banned(using)},
        bf16=device.like_gpu,
        gradient_checkpointing=job.checkpointing,
        use_cpu=device.place == "cpu",
        use_vllm=False,
        shuffle_dataset=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(
        model=model,
        args=config,
        processing_class=using,
        reward_funcs=_reward,
        train_dataset=_dataset(job),
    )
    trainer.watch = Stopwatch(device)
    trainer.add_callback(Held(trainer, job, line))
    trainer.train()
