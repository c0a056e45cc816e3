"""The schema of the toy service."""
