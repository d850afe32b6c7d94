"""Patches over SMP, the protocol of mcumgr: a client, and a server that plays a device.

Only `tmd push`, `tmd device` and `tmd sim serve` import this; the libraries come with the extra
`push`.
"""
