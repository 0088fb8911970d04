"""Writing ONNX graphs: nodes and initialisers, the fused operators, the beam search."""
