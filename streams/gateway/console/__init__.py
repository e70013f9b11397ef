"""The console: what readers ask, as pages for people. Nothing runs in them, and nothing is changed by them."""
