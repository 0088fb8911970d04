"""What is said of a table that does not fit: bad rows counted by kind, and the options that would mend it."""
