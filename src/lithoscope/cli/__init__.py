"""The command line: every capability, headless."""
