"""The protocol core: bytes, keys, signatures, objects. Pure: no I/O, no clock, no database."""
