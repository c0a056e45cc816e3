"""The engine's laws, each proven on the real broker, the real database and real processes, with load flowing."""
