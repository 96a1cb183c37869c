"""Decides what is due and proves what was done; refuses clocks, files, networks, databases and logs."""
