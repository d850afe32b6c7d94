"""Decoders side by side on emulated cores: ours, and others that are described outside of here."""
