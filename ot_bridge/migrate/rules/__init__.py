"""The rules, by subject. A rule looks at one use and returns its edits, or the reason why it is left."""
