"""The adapters that carry notices out of Houfu, each a process of its own."""
