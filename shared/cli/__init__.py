"""The ``houfu`` command line."""
