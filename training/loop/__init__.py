"""The training itself: what the workers read, what each of them does, and the cluster that runs them."""
