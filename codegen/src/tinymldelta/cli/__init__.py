"""The command `tmd`."""

from tinymldelta.cli.main import main

__all__ = ["main"]
