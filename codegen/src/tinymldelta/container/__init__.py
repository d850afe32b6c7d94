"""The patch format in plain Python: read, judge, apply and write patches of format 1.

This is the second implementation of `SPEC.md`, written from that page alone. The device's C core
is compared with it; neither is derived from the other.
"""
