"""What every service computes alike: money shares, business dates, ids, home partitions. Pure, no I/O, no state."""
