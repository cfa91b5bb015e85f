"""The ledger: one contract, held on every store."""
