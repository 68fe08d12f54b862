"""What every exporter of ours needs on the way out: one connection, one clock, one account of losses."""
