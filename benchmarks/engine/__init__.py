"""The engine with slots beside the graph that is a whole search: the same articles, in turn, in this process."""
