"""What signed and encrypted patches cost a device, and that comparing MACs tells nothing of them.

    python benchmarks/trust.py [--out benchmarks/trust.md]

For each kind of signature and of key agreement, a small firmware is linked for a Cortex-M33 and a
Cortex-M0+ and weighed, and another runs on QEMU, which counts instructions. Curves and ciphers are
those of Monocypher and Mbed TLS, whose sources are looked for in TMD_MONOCYPHER and in TMD_MBEDTLS,
or of the latter in the workspace around ZEPHYR_BASE. What is not there is left out, and said so.
Wants gcc-arm-none-eabi and qemu-system-arm. Counts are the same from run to run. Exit status: 0; 1
if a MAC's comparison depends on the MAC, or something failed; 2 if called wrongly.
"""

from __future__ import annotations

import sys

from trust.command import main

if __name__ == "__main__":
    sys.exit(main())
