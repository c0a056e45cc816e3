"""Who does the work of the billing hop, each a process of its own."""
