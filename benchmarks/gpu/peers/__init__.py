"""Other engines that do the work of the models here: those of Python, measured where they are installed."""
