"""Compiles core, store and management group with every compiler, for every core, in every allowed
combination of options: `scons matrix`.
"""
