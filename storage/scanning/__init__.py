"""Looking for personal data where nobody registered any: drop folders, caches, logs."""
