"""The step in PyTorch, for GPUs as CUDA graphs: weights, encoder, decoder, search, and the executor that runs them."""
