"""What the nouns of the command line share: help, failures, exit codes, output, the choice of the node."""
