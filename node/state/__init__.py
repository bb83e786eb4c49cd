"""state of the node."""
