"""The pages, as browsers see them: a real server, a real ledger, Debian's Chromium."""
