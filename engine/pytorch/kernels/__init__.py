"""Kernels of a decoder's step in Triton, the language: for GPUs on which PyTorch has it."""
