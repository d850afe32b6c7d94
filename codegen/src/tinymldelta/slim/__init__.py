"""The smallest update within an accuracy budget: a model between base and target."""
