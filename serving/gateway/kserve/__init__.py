"""KServe's tensors: their datatypes, the labels of their elements, and the ranking that ``classification`` asks for."""
