"""The published rules of checkout as pure calculators: no yields, no I/O, every amount in minor units."""
