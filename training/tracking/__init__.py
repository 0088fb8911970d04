"""MLflow: runs as they go, checkpoints as they are recorded, and the flavour of models that write."""
