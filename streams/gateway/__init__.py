"""The gateway: the way in by HTTP."""
