"""TRL's side, in TRL's environment: its own `train()`, held at the edges of a step by a callback."""

import tempfile
from typing import Any

import torch
from datasets import Dataset, Image, List
from transformers import Qwen2_5_VLForConditionalGeneration, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from performance.padded import banned, fixed_batch, processor
from performance.work import BETAS, LEARNING_RATE, Job, questions, reward
from performance.worker import Line, Memory, Stopwatch, write_gradient


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
        self.memory = Memory(job.device)
        self.remember = False
        self.answer = {"ready": True, "torch": torch.__version__, "threads": torch.get_num_threads()}

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.line.send(self.answer)
        while (request := self.line.receive())["do"] != "step":
            self.line.send(gradient(self.trainer, self.job, request["file"]))
        self.remember = bool(request.get("memory"))
        self.trainer.watch.take()
        if self.remember:
            self.memory.start()
        self.start = self.trainer.watch.now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seconds = self.trainer.watch.now() - self.start
        if self.remember:
            self.answer = self.memory.stop()
            return
        phases = self.trainer.watch.take()
        self.answer = {
            "step": seconds,
            "rollout": phases["rollout"],
            "update": seconds - phases["before_update"],
            "tokens": self.trainer.tokens,
        }


def gradient(trainer: Trainer, job: Job, file: str) -> dict[str, Any]:
    """Writes the gradient of TRL's loss on fixed rollouts."""
    prompts, ids_BT, advantages_B = fixed_batch(trainer.processing_class, job.shape, job.device, job.seed)
    kinds = prompts["mm_token_type_ids"]
    inputs: dict[str, Any] = {
        "prompt_ids": prompts["input_ids"],
        "prompt_mask": prompts["attention_mask"],
        "completion_ids": ids_BT,
        "completion_mask": torch.ones_like(ids_BT),
        "advantages": advantages_B,
        "mm_token_type_ids": torch.cat([kinds, torch.zeros_like(ids_BT)], dim=1),
        "num_items_in_batch": torch.tensor(ids_BT.numel()),
    }
    if "pixel_values" in prompts:
        inputs |= {name: prompts[name] for name in ("pixel_values", "image_grid_thw")}
        inputs["num_images"] = [1] * len(ids_BT)
    before, trainer.current_gradient_accumulation_steps = trainer.current_gradient_accumulation_steps, 1
    trainer._compute_loss(trainer.model, inputs).backward()
    trainer.current_gradient_accumulation_steps = before
    return write_gradient(trainer.model, file)


def _dataset(job: Job) -> Dataset:
    made = questions(job.shape, job.fresh * job.shape.prompts, job.seed)
    rows = {"prompt": [[{"role": "user", "content": q.text}] for q in made]}
    if not job.shape.image:
        return Dataset.from_dict(rows)
    dataset = Dataset.from_dict({**rows, "images": [list(q.images) for q in made]})
    return dataset.cast_column("images", List(Image()))


def run(job: Job, line: Line) -> None:
    """Trains until no more commands come."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(job.model, dtype=torch.float32)
    using = processor(job.model)
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
        bf16=job.device != "cpu",
        gradient_checkpointing=job.checkpointing,
        use_cpu=job.device == "cpu",
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
    trainer.watch = Stopwatch(job.device)
    trainer.add_callback(Held(trainer, job, line))
    trainer.train()
