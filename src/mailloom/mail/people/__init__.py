"""Who wrote, and to whom."""
