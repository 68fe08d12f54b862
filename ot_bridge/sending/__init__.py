"""What the exporters of the rooms otlp and xray share: one connection, one clock, one account of losses."""
