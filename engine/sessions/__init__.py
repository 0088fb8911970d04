"""Sessions of ONNX Runtime as a model configuration of Triton wants them, here or in the process that owns the GPU.

The driver gives a card to the processes that use it in turns, so those that share one wait for each other. Therefore
one process can compute for all: it has a host (`host`), to which the others send their batches (`client`) over a Unix
socket (`wire`).
"""
