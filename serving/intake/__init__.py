"""What reads the links and files of strangers: apart from the door, in processes that may do nothing else."""
