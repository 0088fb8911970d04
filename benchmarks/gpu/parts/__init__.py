"""The parts of a run: a module each, with ``run(context)``, that depends on none of the others."""
