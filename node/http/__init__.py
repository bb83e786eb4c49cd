"""http of the node."""
