"""Notify: what a buyer is told, when and through which channel, and the proof of it."""
