"""What lies inside a part in a form of its own. A part's bytes in, texts and files out."""
