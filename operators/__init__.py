"""The fused operators of Info Lens as native kernels for CPUs: a library that ONNX Runtime loads beside a model.

Every exported model also contains each operator as an ONNX function (``export/graph/functions.py``), so the library is
optional: it makes the same model faster. It is built once from ``native/``, with the machine's C++ compiler.
"""
