"""What the benchmarks have in common: cross compilers, link maps, stack depth, tables."""
