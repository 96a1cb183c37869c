"""Roots: what opens the whole key store, and what destroys all its older versions at once."""
