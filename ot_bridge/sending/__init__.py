"""What the exporters in `otlp` and `xray` share: connection, deadline, and the account of losses."""
