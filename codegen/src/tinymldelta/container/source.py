"""The bytes of a patch as they come."""

from __future__ import annotations

from tinymldelta.container.patch import PatchFault
from tinymldelta.wire.constants import Status


class Cursor:
    """A patch, and how far it has been read."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, or those that are there."""
        return self.data[self.position : self.position + count]

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes, which are then read; TRUNCATED if the patch ends in them."""
        taken = self.peek(count)
        if len(taken) < count:
            end = len(self.data)
            raise PatchFault(Status.TRUNCATED, end, f"patch ends in {what}")
        self.position += count
        return taken
