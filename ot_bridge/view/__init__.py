"""Shows traces in the terminal, in an HTML file, and in the browser with `ot-bridge view`."""
