"""Flows: mostly as plain functions; a few on a real Prefect server, one for the whole session."""
