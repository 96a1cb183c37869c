"""Walls that an import contract cannot express."""
