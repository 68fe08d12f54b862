"""Traces to look at: one span record, one tree, drawn in the terminal, in a file, and by `ot-bridge view`."""
