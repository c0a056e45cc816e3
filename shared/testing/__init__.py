"""How Houfu is tested: given / when / then for handlers, a World for journeys."""
