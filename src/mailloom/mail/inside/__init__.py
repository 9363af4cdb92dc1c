"""The messages inside a message."""
