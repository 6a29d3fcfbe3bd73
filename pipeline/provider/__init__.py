"""To be written: provider."""
