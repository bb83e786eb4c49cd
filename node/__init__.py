"""The node: the only place that does I/O, and the only place that wires the parts together."""
