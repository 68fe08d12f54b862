"""The agent has no constants."""
