"""demo of the node."""
