"""The history of the gallery's schema."""
