"""What Houfu costs, measured beside others who do the same work: ``python -m benchmarks``."""
