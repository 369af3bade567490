"""Less memory for more time: layers keep their inputs alone and are computed again for their gradients."""

from typing import Any


def checkpoint_layers(model: Any, **settings: Any) -> None:
    """Turns it on in every layer, in place. `settings` go to torch.utils.checkpoint."""
    # transformers renamed the method between the two ends of the range this package supports.
    renamed = getattr(model, "activation_checkpointing_enable", None)
    (renamed or model.gradient_checkpointing_enable)(settings or None)
