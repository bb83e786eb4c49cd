"""The privacy core: filtering, bounding, noise, budget. Pure: no I/O, no clock, randomness is an argument."""
