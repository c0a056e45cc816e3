"""The machinery that runs handlers: pure Python over ports, no client library in here."""
