"""Benchmarks: every one compares with a peer or a physical limit in the same run. Refuses to time anything without its evidence."""
