"""What starts Triton and the door, watches them, heals them and stops them."""
