"""From a checkpoint to a served model: ONNX graph, parity check, model repository.

``python -m export --help`` shows the commands.
"""
