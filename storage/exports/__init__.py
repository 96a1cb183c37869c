"""Exports: entering them in the registry, by hand, by what lies beside them, and by rule on a folder."""
