"""mesh of the node."""
