"""What notify decides by, without state of its own: occasions, contact law, channels, the course of a notice."""
