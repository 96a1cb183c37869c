"""Nothing held or undue is destroyed, nothing is certified that did not happen, at any interleaving, through any crash."""
