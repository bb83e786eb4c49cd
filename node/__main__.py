"""`python -m node` is `murmur`."""

from node.cli import main

main()
