"""jobs of the node."""
