"""One file for each version of the tables. They say all that they do themselves, since the tables go on changing."""
