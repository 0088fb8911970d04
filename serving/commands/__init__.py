"""The command line: options that its commands share, and ``triton`` and ``door``, which run apart from each other."""
