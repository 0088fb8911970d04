"""From a checkpoint to a served model: ONNX graph, parity check, model repository; see README.md.

``python -m export --help`` shows the commands.
"""
