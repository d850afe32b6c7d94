"""One arena while TFLM allocates: what is taken at both ends, and how much it must hold for that.

`single_arena_buffer_allocator.cc`: what lasts comes from the end and grows down (tail); the start
holds one resizable buffer (head) with temporary allocations behind it. Start and end are multiples
of 16 and so of every alignment: positions from either end do not depend on the arena's size. So
each moment needs what is taken below plus what is taken above, and the arena the largest of these.
"""

from __future__ import annotations

from dataclasses import dataclass

ALIGNMENT = 16  # MicroArenaBufferAlignment(), micro_arena_constants.h


def align(size: int, alignment: int = ALIGNMENT) -> int:
    """The next multiple of `alignment`, from `size` on."""
    return (size + alignment - 1) // alignment * alignment


@dataclass(slots=True)
class Arena:
    """Bytes taken so far. `need`: the most that was taken at once, which was at `bound_by`.

    moment: what is going on, for `bound_by`.
    """

    tail: int = 0
    head: int = 0
    temporary: int = 0  # end of the temporary allocations, from the start
    read_end: int = 0  # end of what is used again of them
    moment: str = ""
    need: int = 0
    bound_by: str = ""

    def demand(self, low: int) -> None:
        """At this moment `low` bytes at the start must not reach into the tail."""
        if low + self.tail > self.need:
            self.need = low + self.tail
            self.bound_by = self.moment

    def keep(self, size: int, alignment: int = ALIGNMENT) -> None:
        """AllocatePersistentBuffer(). It checks that it leaves the head alone, but not temporary
        allocations; if it overwrites one, that shows when it is read again."""
        self.tail = align(self.tail + size, alignment)
        self.demand(max(self.head, self.read_end))

    def resize_head(self, size: int) -> None:
        """ResizeBuffer(), while nothing is allocated behind it."""
        self.head = self.temporary = self.read_end = size

    def take(self, size: int, alignment: int, read: int | None = None) -> None:
        """AllocateTemp(). read: how many of the bytes, from the first, are used again later; all
        unless said. Once the tail reaches below what is taken, its check wraps around and lets all
        pass; what gets overwritten then is in use, so that is no success either."""
        start = align(self.temporary, alignment)
        self.temporary = start + size
        if read != 0:
            self.read_end = start + (size if read is None else read)
        self.demand(self.temporary)

    def reset_temporaries(self) -> None:
        """ResetTempAllocations(). Until then nothing that was taken comes back."""
        self.temporary = self.read_end = self.head
