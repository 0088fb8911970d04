"""Writing ONNX graphs: operators, weights, the beam search."""
