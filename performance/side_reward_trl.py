"""TRL's side of reward-model training, in TRL's environment: its own `train()`, held at its steps' edges."""

import tempfile
from itertools import combinations
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl import RewardConfig, RewardTrainer

from performance.device import Device
from performance.work import BETAS, LEARNING_RATE, Job, preferences
from performance.worker import Answer, Line, write_gradient


class Held(TrainerCallback):
    """Waits for a command before every step; the waiting is not timed."""

    def __init__(self, trainer: Any, job: Job, line: Line) -> None:
        self.trainer, self.job, self.line, self.device = trainer, job, line, Device(job.device)
        self.answer: Answer = {"ready": True}

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.line.send(self.answer)
        while (request := self.line.recv())["do"] != "step":
            self.line.send(gradient(self.trainer, self.job, request["file"]))
        self.start = self.device.now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.answer = {"step": self.device.now() - self.start}


def gradient(trainer: Any, job: Job, file: str) -> Answer:
    """Writes the gradient of TRL's loss on the first questions."""
    rows = pairs(job, job.shape.prompts)
    batch = trainer.data_collator(
        [{name: rows[name][n] for name in rows} for n in range(len(rows["chosen_ids"]))]
    )
    loss = trainer.compute_loss(trainer.model, dict(batch))
    loss.backward()
    lengths = sorted(set(batch["attention_mask"].sum(1).tolist()))
    return {**write_gradient(trainer.model, file), "loss": float(loss.detach()), "lengths": lengths}


def pairs(job: Job, num: int) -> dict[str, list[Any]]:
    """Every pair of a question's responses as a row, as TRL wants it: tokens made beforehand."""
    words = AutoTokenizer.from_pretrained(job.model)
    rows: dict[str, list[Any]] = {"chosen_ids": [], "rejected_ids": []}
    for one in preferences(job.shape, num, job.seed):
        asked = {"role": "user", "content": one.question}
        chats = [[asked, {"role": "assistant", "content": response}] for response in one.responses]
        texts = words.apply_chat_template(chats, tokenize=False)
        ids = words(texts, add_special_tokens=False)["input_ids"]
        for better, worse in combinations(range(len(ids)), 2):
            rows["chosen_ids"].append(ids[better])
            rows["rejected_ids"].append(ids[worse])
    return rows


def run(job: Job, line: Line) -> None:
    """Trains until no more commands come."""
    shape, device = job.shape, Device(job.device)
    num_pairs = shape.prompts * shape.group * (shape.group - 1) // 2
    micro_batch = min(job.micro_batch or num_pairs, num_pairs)
    config = RewardConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=num_pairs // micro_batch,
        max_steps=10**6,
        max_length=None,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=device.like_gpu,
        gradient_checkpointing=job.checkpointing,
        use_cpu=device.place == "cpu",
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = RewardTrainer(
        model=AutoModelForSequenceClassification.from_pretrained(job.model, dtype=torch.float32),
        args=config,
        processing_class=AutoTokenizer.from_pretrained(job.model),
        train_dataset=Dataset.from_dict(pairs(job, job.fresh * shape.prompts)),
    )
    trainer.add_callback(Held(trainer, job, line))
    trainer.train()
