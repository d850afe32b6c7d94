"""The command `tmd`: `main` has all of it. Nothing is imported here, so that one can be alone."""
