"""cli of the node."""
