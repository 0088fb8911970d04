"""The trials of a search for settings: what is known of them, how one runs, who watches them, what is told of them."""
