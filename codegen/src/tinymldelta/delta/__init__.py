"""Making the body of a format-2 patch: what the models say of their bytes, and the encoder."""
