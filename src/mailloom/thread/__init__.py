"""Which messages belong together. Pure, but for the Threads store that is passed in."""
