"""File search: how files become chunks, how chunks are found, and how answers cite them."""
