"""The choke point, step by step, on every store."""
