"""The demo: the whole flow on this machine, with nothing but the package installed."""
