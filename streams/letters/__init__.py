"""Dead letters read: grouped by cause, looked at, and sent through again."""
