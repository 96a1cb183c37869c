"""The ledger: what was decided, intended and seen. It refuses to change or forget what is evidence."""
