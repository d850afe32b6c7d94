"""The command group, and nothing else: each command is a module beside this one."""

from __future__ import annotations

import click

from tinymldelta import __version__
from tinymldelta.cli.apply import apply
from tinymldelta.cli.arena import arena
from tinymldelta.cli.check import check
from tinymldelta.cli.codegen import codegen
from tinymldelta.cli.device import device
from tinymldelta.cli.inspect import inspect
from tinymldelta.cli.keygen import keygen
from tinymldelta.cli.patch import patch
from tinymldelta.cli.push import push
from tinymldelta.cli.sign import sign
from tinymldelta.cli.sim import sim
from tinymldelta.cli.slim import slim
from tinymldelta.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tmd")
def main() -> None:
    """Update the model in a deployed microcontroller by sending only what changed.

    Exit codes: 0 done, 1 a patch or model was refused (the reason on stderr), 2 called wrongly.
    """


for command in (
    inspect,
    arena,
    codegen,
    slim,
    patch,
    check,
    apply,
    keygen,
    sign,
    verify,
    push,
    device,
    sim,
):
    main.add_command(command)
