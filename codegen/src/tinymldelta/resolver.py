"""Does an application's own op resolver register what the contract says that it does?

Registrations are calls at run time, so what can be known at build time is what stands in the
source: calls of `Add<Operator>(`, outside of comments, texts and what `#if 0` switches off.
"""

from __future__ import annotations

import re

from tinymldelta.contract import Contract
from tinymldelta.errors import Refusal
from tinymldelta.tflm import resolver_method

_COMMENT_OR_LITERAL = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n']+|\\'|[^'\\\n])'""", re.DOTALL
)
_TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"')
_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b[ \t]*(\w*)")
_CUSTOM = re.compile(r'\bAddCustom\s*\(\s*"((?:\\.|[^"\\\n])*)"')
_CALL = re.compile(r"\b(Add[A-Z0-9]\w*)\s*(?:<[^<>;]*>)?\s*\(")


def _without_comments(source: str) -> str:
    """Comments and characters are blanks then; texts stay, since operators are named by them."""

    def replaced(match: re.Match[str]) -> str:
        found = match.group()
        return found if found[0] == '"' else " " + "\n" * found.count("\n")

    return _COMMENT_OR_LITERAL.sub(replaced, source)


def _without_if_0(source: str) -> str:
    """The lines but for those between `#if 0` and its `#else`, `#elif` or `#endif`."""
    off: list[bool] = []  # of each #if that is open: is this branch of it switched off?
    lines = []
    for line in source.splitlines():
        directive = _DIRECTIVE.match(line)
        if directive is None:
            if not any(off):
                lines.append(line)
        elif directive[1] in ("if", "ifdef", "ifndef"):
            off.append(directive.groups() == ("if", "0"))
        elif off and directive[1] == "endif":
            off.pop()
        elif off:
            off[-1] = False
    return "\n".join(lines)


def _code(source: str) -> str:
    return _without_if_0(_without_comments(source))


# The generated resolver; and what older TFLM has for every operator.
_HAS_ALL = re.compile(r"\btmd::RegisterOperators\s*\(|\bAllOpsResolver\b")


def registered(source: str) -> tuple[set[str], set[str]]:
    """The methods of the resolver that the C++ calls, and the names of custom operators."""
    code = _code(source)
    return set(_CALL.findall(_TEXT.sub(" ", code))), set(_CUSTOM.findall(code))


def check_resolver(source: str, where: str, contract: Contract) -> None:
    """Refuse C++ that registers less than the contract has. `where` is the file's name.

    Patches of every model are judged by all operators of the contract, those of the other models
    and EXTRA_OPS among them.
    """
    methods, customs = registered(source)
    if _HAS_ALL.search(_TEXT.sub(" ", _code(source))):
        return
    missing = []
    for op in contract.operators:
        method = resolver_method(op.name, custom=op.custom, revision=contract.kernels.revision)
        if op.custom and (op.name in customs or (method is not None and method in methods)):
            continue
        if not op.custom and method in methods:
            continue
        missing.append(method or f'AddCustom("{op.name}", ...)')
    if missing:
        calls = ", ".join(sorted(set(missing)))
        raise Refusal(
            where,
            f"the resolver lacks what the contract says is linked: {calls}",
            "add the calls, or use tmd::RegisterOperators() of the generated tmd_op_resolver.h",
        )
