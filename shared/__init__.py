"""What every service is built from: contracts, kernel, engine, drivers, operations, and the tools around them."""
