"""The summarizer on TensorRT: plans are built on the machine that serves, kept, and run from two sets of buffers."""
