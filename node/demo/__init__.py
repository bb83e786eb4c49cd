"""`murmur demo`: four made-up platforms (or four real logs), four real nodes, one federation, checked answers.

The demo is a client like any other. It starts `murmur run` four times, speaks to the nodes over HTTP and their admin
sockets only, and knows the truth only because it made up (or read) the events itself. Nothing outside this folder and
`node/cli/demo.py` knows that it exists; a test says so.

Two parts watch the rest and share no code with what they watch: `truth` counts the sent events in plain Python, and
`relay` with `wiretap` carries and searches every byte between the nodes.
"""
