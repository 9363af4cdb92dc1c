"""What the bytes of a mail hold: parts, fields, texts in their charset."""
