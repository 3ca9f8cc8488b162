"""The erasure ledger: who was erased, as keyed hashes, in a database that is not restored with the others."""
