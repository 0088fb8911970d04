"""What the runtime environment is made of: the packages that it needs, and room on the disk for them."""
