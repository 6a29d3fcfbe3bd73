"""To be written: ledger."""
