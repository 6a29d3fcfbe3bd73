"""To be written: deliver."""
