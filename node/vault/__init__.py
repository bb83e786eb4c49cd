"""vault of the node."""
