"""Where requests may go: judged when an address is given, when its name is looked up, and when it is dialled."""
