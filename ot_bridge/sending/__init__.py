"""The parts that the exporters in `otlp` and `xray` share: connection, deadline, and count of losses."""
