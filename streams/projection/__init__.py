"""The read side: the topics as rows of SQLite, for questions that would have to scan them otherwise.

It is derived from the log alone, never written back, and made anew when it does not fit the log any more.
"""
