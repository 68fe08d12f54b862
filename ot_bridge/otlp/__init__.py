"""OTLP: spans as bytes and back. Pure: nothing here reads or writes anything but values."""
