"""Runs cases on schedule and wires the parts together; refuses to decide and to destroy by itself."""
