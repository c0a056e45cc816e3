"""The four independent services of Houfu. They know each other only through ``shared.contracts``."""
