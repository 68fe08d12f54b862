"""One rule a file. A rule looks at one use and says what stands there afterwards (edits), or why it is
left.
"""
