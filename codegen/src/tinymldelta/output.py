"""How files are rendered and written: strict templates, and writes only where content changed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import jinja2


def environment() -> jinja2.Environment:
    """The one template environment: an undefined name is an error, never an empty string."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("tinymldelta", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C and JSON, never HTML
    )


def write_atomically(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Write `content` whole or not at all: a reader, or a cut, never sees half a file.

    secret: for nobody but the owner (0600).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if not secret:
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would keep a build server's users out
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def write_new(path: Path, content: bytes, *, secret: bool) -> None:
    """The same for a file that must not be there; FileExistsError if it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever makes the name first has it; the content then comes in one step.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        write_atomically(path, content, secret=secret)
    except BaseException:
        path.unlink()
        raise


def write_if_changed(path: Path, content: str | bytes) -> bool:
    """Write unless the file already holds exactly this, so that builds stay incremental.

    Returns whether the file was written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return False
    write_atomically(path, data)
    return True
