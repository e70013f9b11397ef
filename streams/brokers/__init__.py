"""Brokers that Towline itself can run."""
