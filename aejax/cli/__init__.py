"""The terminal: what all commands share."""
