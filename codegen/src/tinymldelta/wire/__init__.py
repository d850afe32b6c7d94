"""The wire format: `wire.yaml` as data, what is rendered from it, and the rendered constants."""
