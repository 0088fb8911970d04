"""The processes that the parts of a run work in, one at a time.

A crash, a hang or a lost device ends one part alone. Children are forked from a server that has imported what all of
them need and has not touched CUDA. A child leads a session of its own, so that it can be killed with everything that it
has started, such as compilers.
"""
