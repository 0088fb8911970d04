"""What an experiment came to: its runs, read from MLflow, as a page and as Markdown."""
