"""The five deployables; none imports another."""
