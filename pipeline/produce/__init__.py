"""To be written: produce."""
