"""Audit: what happened to an image and why, read from the topics. Reads only."""
