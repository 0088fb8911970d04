"""What a server on a GPU needs of its machine and its models, seen to before anything is installed or started."""
