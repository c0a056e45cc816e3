"""Pure rules of money, calendar and identity that every service shares."""
