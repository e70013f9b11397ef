"""Slices: a part of the log as one file, so that what happened can be replayed where there is no broker."""
