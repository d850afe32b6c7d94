"""What a model update costs a device: measured on emulated cores, told for named parts.

`cores` are what code runs on, `build` makes the firmware (benchmarks/firmware/device.c), `jobs`
what it is given, `running` starts QEMU; `parts` and `sending` turn counts into time and energy,
`limits` holds what other benches set, `rivals` reads what other tools' decoders cost, `report` and
`plot` show it, `command` does it all.
"""
