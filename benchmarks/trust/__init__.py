"""What signed and encrypted patches cost a device, and that comparing MACs tells nothing of them.

`kinds` are the firmwares and the boards, `libraries` finds whose curves and ciphers they have,
`jobs` is what they are given, `measuring` builds, weighs and runs them
(benchmarks/firmware/trust.c), `report` shows it, `command` does it all.
"""
