"""Real database servers, private to one test run; refuses to use a server that was already running."""
