"""The power-cut campaign of the model store: `./run bench powercut`."""
