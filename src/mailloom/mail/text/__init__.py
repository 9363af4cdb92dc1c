"""What a reader saw of the body: text, with marks where a client said that it quotes."""
