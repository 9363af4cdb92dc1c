"""Ways to run the same flow."""
