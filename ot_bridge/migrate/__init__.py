"""`ot-bridge check` and `ot-bridge rewrite`: from OpenTracing's API to OpenTelemetry's, by facts.

`project` reads files, `reading` says what every expression is, `judge` what becomes of each reference;
`report`
prints it, and `rewrite` (which needs libcst) changes the files.
"""
