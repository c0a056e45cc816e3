"""The kit for everyone outside: read events, do I/O, answer with commands."""
