"""dashboard of the node."""
