"""Keeps and destroys records in their stores; refuses to decide what is due and to schedule anything."""
