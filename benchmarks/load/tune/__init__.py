"""The best settings of a machine, by measurement."""
