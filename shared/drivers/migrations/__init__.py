"""The engine's own tables, a branch of revisions that every service's schema has beside the service's branch."""
