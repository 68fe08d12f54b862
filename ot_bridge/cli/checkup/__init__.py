"""What `ot-bridge doctor` looks at: a module for each part, with `Row`s and `Finding`s as their result."""
