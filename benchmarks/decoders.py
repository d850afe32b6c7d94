"""`./run bench decoders`: see decoders/command.py."""

from __future__ import annotations

import sys

from decoders.command import main

if __name__ == "__main__":
    sys.exit(main())
