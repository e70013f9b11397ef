"""What replay finds out without the log itself: a set put in force, and how two histories differ. Pure."""
