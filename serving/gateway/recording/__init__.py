"""Notes what the doors answered for the keeper of feedback: beside the event loop, and after the answer has gone out.

`predictions` makes a record of an answer, `inferred` of what Triton said to a request of KServe, `audits` says which
articles are asked about blindly, and `recorder` is what the doors call. It knows nothing of HTTP and gRPC.
"""
