"""Graphs in ONNX's own operators alone, for runtimes that know no others: TensorRT, or ONNX Runtime on CUDA."""
