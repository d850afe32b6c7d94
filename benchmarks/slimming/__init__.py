"""What `./run bench slim` is made of: pairs, ways to slim them, runs, the report and the plot."""
