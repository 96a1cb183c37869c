"""The key store: keys of everything sealed, and how they die. See docs/keys.md and docs/decisions/0007."""
