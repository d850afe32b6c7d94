"""What a model update costs a device; device/command.py says how."""

import sys

from device.command import main

if __name__ == "__main__":
    sys.exit(main())
