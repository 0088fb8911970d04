"""The front door: the one process that people and programs reach; it checks every request and asks Triton behind it."""
