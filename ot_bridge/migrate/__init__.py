"""`ot-bridge check` and `ot-bridge rewrite`: from OpenTracing's API to OpenTelemetry's.

`project` reads files, `reading` finds the value of every expression, and `judge` decides on each reference.
`report` prints the decisions, and `rewriting` (which needs libcst) changes the files.
"""
