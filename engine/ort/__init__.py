"""ONNX Runtime runs the graphs: on CPUs over memory of numpy, on NVIDIA's GPUs as CUDA graphs."""
