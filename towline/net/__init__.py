"""HTTP to others, and what may be printed of it."""
