"""Files of tables: how their text is written, how their rows are laid out, and what their cells say."""
