"""The contract: pure data, for this project and for producers and consumers outside of it."""
