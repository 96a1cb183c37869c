"""The benches themselves: that they run, compare like with like and say what they measured. Never how fast."""
