"""Whole stories over checkout, billing and the sandbox's provider, in a world whose clock is moved by hand."""
