"""Exports: the records of the log as tables in files, for those who audit with tools of their own."""
