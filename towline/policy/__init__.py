"""The decision core: pure functions of a state and an event. No I/O, no clock, no randomness.

``step`` is the whole of it: what is decided, what is announced, and what the state becomes.
"""
