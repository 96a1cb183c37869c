"""The command ``retention``: for the people who run a library's retention schedule, at a terminal or from a script."""
