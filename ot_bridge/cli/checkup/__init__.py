"""The checks of `ot-bridge doctor`. Each module checks one part, and returns `Row`s and `Finding`s."""
