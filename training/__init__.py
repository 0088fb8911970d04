"""From labelled articles to a fine-tuned checkpoint with its metrics: ``python -m training --help``."""
