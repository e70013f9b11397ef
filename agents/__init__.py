"""The Faust agents: thin bodies around one shell that loses nothing."""
