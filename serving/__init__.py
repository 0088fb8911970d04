"""What runs beside the models: Triton's backends, its runtime environment and its launcher (``python -m serving``)."""
