"""Tests: sentences about what the product does, run against real servers."""
