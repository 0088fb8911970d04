"""Models before training: architectures, tokenizers, first weights, adapters."""
