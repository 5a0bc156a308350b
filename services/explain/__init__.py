"""The explain worker: where the network looked."""
