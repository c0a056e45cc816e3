"""The public interface: every message, its envelope and its fields. Depends on pydantic alone."""
