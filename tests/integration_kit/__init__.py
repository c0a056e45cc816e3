"""The adapter kit: alone, on a real broker, and as a process."""
