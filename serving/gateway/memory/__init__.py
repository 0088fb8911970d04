"""The memory of the door's process: how much it uses, and that what was freed goes back to the machine."""
