"""Graphs for ONNX Runtime on GPUs, with tensors of 16 bits."""
