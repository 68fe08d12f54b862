"""The agent has no structures of its own."""
