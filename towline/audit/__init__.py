"""Tamper evidence, without any I/O: the Merkle tree over the decisions, and the checkpoints that commit to it."""
