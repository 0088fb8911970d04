"""The architectures: one record each, in a file of its own, and what loads a model of any of them."""

from .inspected import load_whole, load_writer, naming_base, read_config, read_tokenizer
from .loading import labels_of, last_layer_of, load_base, load_prepared, name_labels, require_length
from .lookup import answering, architecture_of, architectures, register, usual_architecture
from .record import Architecture, Starter

__all__ = [
    "Architecture",
    "Starter",
    "answering",
    "architecture_of",
    "architectures",
    "labels_of",
    "last_layer_of",
    "load_base",
    "load_prepared",
    "load_whole",
    "load_writer",
    "name_labels",
    "naming_base",
    "read_config",
    "read_tokenizer",
    "register",
    "require_length",
    "usual_architecture",
]
