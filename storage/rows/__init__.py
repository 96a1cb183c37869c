"""Rows inside files: exports whose rows are records of their own."""
