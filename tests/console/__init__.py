"""The command line, run as a person runs it, on a small library that is really there."""
