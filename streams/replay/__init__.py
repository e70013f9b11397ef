"""Replay: the log folded anew, apart from any worker. Reads only."""
