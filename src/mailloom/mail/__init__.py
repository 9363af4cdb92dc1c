"""What one message says. Bytes and values in, values out: no I/O, no clock, no environment, no randomness."""
