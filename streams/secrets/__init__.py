"""Secrets in records: what leaves the log as a file is searched for them first."""
