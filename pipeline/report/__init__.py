"""To be written: report."""
