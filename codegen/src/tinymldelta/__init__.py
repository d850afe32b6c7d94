"""TinyMLDelta: updates the model in a deployed microcontroller by sending only what changed."""

__version__ = "0.1.0"
