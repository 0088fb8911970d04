"""The fused operators of Info Lens as native kernels for CPUs: a library that ONNX Runtime loads beside a model.

Every exported model carries each operator as an ONNX function too (``export/graph/functions.py``), so the library is
never needed: it makes the same model faster. It is built from ``native/`` once, with the machine's C++ compiler.
"""
