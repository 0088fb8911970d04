"""A recipe: everything that a training run depends on, in one frozen dataclass that is readable and writable as TOML.

Names are those of ``transformers.TrainingArguments`` wherever it has one. The text under each field is what
``python -m training settings TASK`` prints beside it. The fields that only one kind of answer has stand in `kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from training.data.files.opening import encoding_fault

STARTER: Final = "starter"
"""The base that means: the architecture of the task's contract, small, from scratch."""
PRECISIONS: Final = ("fp32", "bf16", "fp16")
STRATEGIES: Final = ("single", "ddp", "fsdp")
SCHEDULES: Final = ("linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt")
OPTIMIZERS: Final = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained, whatever its task."""

    base: str = STARTER
    """Hub id or checkpoint folder of any architecture that answers the task, or 'starter': small, from scratch."""
    data: str = ""
    """A .parquet, .csv, .tsv, .jsonl or .json file (also .gz), a folder of them, or a hub data set id."""
    encoding: str = ""
    """How its text files are written, such as cp1252; empty: what their first bytes say, else UTF-8."""
    columns: str = ""
    """Where the data's columns have other names: OURS=THEIRS,... such as text=body,label=section."""
    unlabelled: tuple[str, ...] = ()
    """More articles without labels: for a starter's vocabulary and embeddings, for keep_vocabulary, and to train on
    with unlabelled_passes."""
    hold_out: tuple[str, ...] = ()
    """Sources (column 'source') that are kept out of training and measured apart, as out_of_domain."""
    validation: float = 0.1
    """Share of the articles for validation where no row has that split."""
    test: float = 0.1
    """Share of the articles for testing, likewise."""
    clean: bool = True
    """Strip source markers, bylines and links, which leak the label."""
    seed: int = 0
    """Seed of weights, order, augmentation and dropout."""

    max_tokens: int = 512
    """Tokens of an article that the model reads when it serves, special tokens included."""
    num_train_epochs: float = 3.0
    """Passes over the training split."""
    max_steps: int = 0
    """Optimizer steps of the run, instead of num_train_epochs; 0 leaves it to these."""
    per_device_train_batch_size: int = 32
    """Articles in a batch of one worker."""
    per_device_eval_batch_size: int = 64
    """The same while measuring."""
    gradient_accumulation_steps: int = 1
    """Batches whose gradients make one optimizer step."""
    learning_rate: float = 3e-5
    """The highest rate of the schedule."""
    lr_scheduler_type: str = "linear"
    """How the rate falls after warm-up: linear, cosine, constant, constant_with_warmup or inverse_sqrt."""
    warmup_steps: int = 0
    """Optimizer steps in which the rate rises; 0 leaves it to warmup_ratio."""
    warmup_ratio: float = 0.1
    """The same as a share of all steps."""
    optim: str = "adamw_torch"
    """The optimizer: adamw_torch, adamw_torch_fused, adafactor, sgd, rmsprop or adagrad."""
    weight_decay: float = 0.01
    """Decay of the weight matrices per step, times the rate; none for biases and normalisations."""
    adam_beta2: float = 0.98
    """Decay of AdamW's second moment."""
    max_grad_norm: float = 1.0
    """Gradients with a larger norm are scaled down to it."""
    dropout: float = 0.1
    """Share of the hidden units that a step leaves out."""
    precision: str = "fp32"
    """Precision of the products: fp32, bf16 or fp16 (fp16 needs a GPU). Weights and sums stay in fp32."""
    average: float = 0.0
    """Decay of a moving average of the weights, which is what is measured and saved; 0 for none."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third more time."""
    lora: bool = False
    """Train low-rank adapters (peft) and the head instead of all weights; they are merged at the end."""
    lora_rank: int = 8
    """Rank of the adapters."""
    lora_alpha: float = 16.0
    """Their scale is lora_alpha / lora_rank."""

    strategy: str = "single"
    """single, ddp (every worker has all weights) or fsdp (weights, gradients and optimizer are shared out)."""
    workers: int = 0
    """Processes of Ray that train, one a GPU where there are GPUs; 0 trains inside this process, without Ray, on one
    GPU where there is any."""
    cpus_per_worker: int = 0
    """CPU cores, and so threads, of a worker; 0 shares this machine's cores out."""
    gpus_per_worker: float = -1.0
    """GPUs of a worker; -1 takes one where this machine or cluster has any."""
    max_failures: int = 2
    """How often a worker of Ray may die before the run is given up; it goes on from the last checkpoint."""
    storage: str = ""
    """Folder or URL (s3://bucket/path, or any of fsspec's) for checkpoints; empty: beside the output. Workers on
    several machines need one that all of them reach."""

    logging_steps: int = 25
    """Optimizer steps between two values of the loss in history.json and MLflow; fewer in a short run, which has about
    20 values at least, and each checkpoint has one. The progress shows the loss all the time."""
    save_steps: int = 0
    """Optimizer steps between two checkpoints, each measured on the validation split; 0 for one an epoch."""
    logging_dir: str = ""
    """Folder for TensorBoard's event files; empty for none."""

    def __post_init__(self) -> None:
        if fault := encoding_fault(self.encoding):
            raise ValueError(fault)
        for name, allowed in (
            ("precision", PRECISIONS),
            ("strategy", STRATEGIES),
            ("lr_scheduler_type", SCHEDULES),
            ("optim", OPTIMIZERS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        for name in (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
            "logging_steps",
            "lora_rank",
        ):
            require_minimum(self, name, 1)
        for name in (
            *("max_steps", "warmup_steps", "save_steps", "workers", "cpus_per_worker", "max_failures"),
            *("weight_decay", "max_grad_norm", "num_train_epochs"),
        ):
            require_minimum(self, name, 0)
        require_minimum(self, "max_tokens", 8)
        for name in ("warmup_ratio", "dropout", "average", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is from 0 to below 1, not {getattr(self, name)}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate lies between 0 and 1, not {self.learning_rate}")
        if self.strategy == "single" and self.workers > 1:
            raise ValueError(f"strategy single has one worker, not {self.workers}: say strategy=ddp or strategy=fsdp")
        if self.strategy != "single" and self.workers < 1:
            raise ValueError(f"strategy {self.strategy} needs workers=1 or more, not {self.workers}")

    @property
    def starter(self) -> bool:
        """Whether the model is small and from scratch."""
        return self.base == STARTER

    @property
    def articles_per_step(self) -> int:
        """Articles in one optimizer step, over all workers."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps * max(1, self.workers)


def require_minimum(recipe: Recipe, name: str, minimum: int) -> None:
    """Raise `ValueError` unless the named field is ``minimum`` or more."""
    if getattr(recipe, name) < minimum:
        raise ValueError(f"{name} is {minimum} or more, not {getattr(recipe, name)}")


def require_fractions(recipe: Recipe, names: tuple[str, ...]) -> None:
    """Raise `ValueError` unless each of the named fields is a share from 0 to 1."""
    for name in names:
        if not 0 <= getattr(recipe, name) <= 1:
            raise ValueError(f"{name} is a share from 0 to 1, not {getattr(recipe, name)}")
