"""What was to be copied and how it ended, read from the topics; and copying again what failed."""
