"""Text into spans: what is new, and what was there before."""
