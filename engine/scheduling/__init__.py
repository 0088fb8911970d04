"""Which article gets which slot, and when: articles that wait, the threads that run executors, and the answers."""
