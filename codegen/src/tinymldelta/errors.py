"""The exceptions for bad input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinymldelta.wire.constants import STATUSES, Status

if TYPE_CHECKING:  # it imports what raises these
    from tinymldelta.explain import Evaluated


class Refusal(Exception):  # noqa: N818 - not an error of the program: input that it does not take
    """Input was refused. The command line prints it on stderr and exits with 1.

    where: the file or part that was wrong; what: the fault; fix: what to do about it, may be empty.
    """

    def __init__(self, where: str, what: str, fix: str = "") -> None:
        super().__init__(f"{where}: {what}" + (f" ({fix})" if fix else ""))
        self.where = where
        self.what = what
        self.fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it passes between processes: what Exception keeps is the text alone."""
        return _again, (type(self), str(self), self.__dict__)


class PatchRefused(Refusal):
    """A device refuses the patch: `status` is its reason.

    rules: every guardrail, where the device came to judge them; explained: a clause on each.
    """

    def __init__(
        self,
        where: str,
        status: Status,
        detail: str = "",
        fix: str = "",
        *,
        rules: Sequence[Evaluated] = (),
        explained: Sequence[str] = (),
    ) -> None:
        text = STATUSES[status]
        what = f"refused with {status.name}: {detail or text.text}"
        super().__init__(where, what, fix or text.fix)
        self.status = status
        self.rules = rules
        self.explained = explained


def _again(kind: type[Exception], text: str, attributes: dict[str, Any]) -> Exception:
    """An exception with several arguments, without calling its __init__ with the text for one."""
    made = kind.__new__(kind, text)
    made.__dict__.update(attributes)
    return made
