"""What was to be copied or removed and how that went, read from the topics; and copying again what failed."""
