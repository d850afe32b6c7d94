"""TinyMLDelta in a PlatformIO project. In its platformio.ini:

    [env:board]
    extra_scripts = pre:<TinyMLDelta>/codegen/scons/platformio.py
    custom_tmd_model = app = models/base.tflite
    custom_tmd_slot = 65536

tmd/project.py says which options there are.
"""

from __future__ import annotations

import sys
from pathlib import Path

Import("env")  # noqa: F821 - as SCons gives it to scripts; they have no __file__ either

here = Path(sys._getframe().f_code.co_filename).resolve().parent
env.Tool("tmd", toolpath=[str(here)])  # noqa: F821

from tmd.project import add_to_project  # noqa: E402

add_to_project(env)  # noqa: F821
