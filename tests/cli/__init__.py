"""The command line, alone and on a running system, and the stories it tells."""
