"""To be written: simulator."""
