"""http/forms of the node."""
