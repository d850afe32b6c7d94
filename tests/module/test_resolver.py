"""Which operators the application's C++ registers, by its text."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelkit
from tinymldelta.contract import Contract
from tinymldelta.errors import Refusal
from tinymldelta.generate import ModelSource, model_contracts
from tinymldelta.limits import Limits
from tinymldelta.resolver import check_resolver, registered


@pytest.mark.parametrize(
    ("source", "methods"),
    [
        ("r.AddSoftmax();", {"AddSoftmax"}),
        ("r->AddSoftmax ( );", {"AddSoftmax"}),
        ("r.AddConv2D(tflite::Register_CONV_2D_INT8());", {"AddConv2D"}),
        ("r.Add<int>(1); AddBatchMatMul\n(x);", {"AddBatchMatMul"}),
        ("MACRO(r.AddAdd(), r.AddMul())", {"AddAdd", "AddMul"}),
        # What looks like a call and is none.
        ("// r.AddSoftmax();\n", set()),
        ("/* r.AddSoftmax();\n r.AddMul(); */", set()),
        ('log("r.AddSoftmax();");', set()),
        (r'log("\"r.AddSoftmax();");', set()),
        ("#if 0\nr.AddSoftmax();\n#endif\n", set()),
        ("  #  if 0 // no\nr.AddSoftmax();\n  # endif\n", set()),
        ("resolver.ReAddSoftmax();", set()),
        ("r.AddSoftmax;", set()),
        ("r.addSoftmax();", set()),
        # What looks like none and is one.
        ("#if 0\n#endif\nr.AddSoftmax();", {"AddSoftmax"}),
        ("#if 0x10\nr.AddSoftmax();\n#endif", {"AddSoftmax"}),
        ("#if 1\nr.AddSoftmax();\n#endif", {"AddSoftmax"}),
        ('log("//"); r.AddSoftmax();', {"AddSoftmax"}),
        ('log("/*"); r.AddSoftmax(); log("*/");', {"AddSoftmax"}),
        ("// /*\nr.AddSoftmax(); // */", {"AddSoftmax"}),
        ("#if 0\nr.AddMul();\n#else\nr.AddSoftmax();\n#endif", {"AddSoftmax"}),
        ("#if 0\n#if 1\n#endif\nr.AddMul();\n#endif\nr.AddSoftmax();", {"AddSoftmax"}),
        ("char quote = '\"'; r.AddSoftmax(); quote = '\"';", {"AddSoftmax"}),
    ],
)
def test_calls(source, methods) -> None:
    assert registered(source)[0] == methods


@pytest.mark.parametrize(
    ("source", "customs"),
    [
        ('r.AddCustom("mine", &reg);', {"mine"}),
        ('r.AddCustom (\n "mine" , Register_MINE());', {"mine"}),
        ('// r.AddCustom("mine", &reg);\n', set()),
        ('/* r.AddCustom("mine", &reg); */', set()),
        ('log("//"); r.AddCustom("mine", &reg);', {"mine"}),
        ('#if 0\nr.AddCustom("mine", &reg);\n#endif\n', set()),
        ("r.AddCustom(name, &reg);", set()),
    ],
)
def test_custom_operators(source, customs) -> None:
    assert registered(source)[1] == customs


def contract_of(spec: modelkit.ModelSpec, *extra_operators: str) -> Contract:
    """Of a firmware with that model, and operators for models to come."""
    source = ModelSource("thermo", modelkit.build(spec), "thermo.tflite")
    limits = Limits(1 << 20, 4096, 1, {}, {"thermo": 4096}, extra_operators=extra_operators)
    return model_contracts([source], limits)


CALLS = ("AddConv2D", "AddReshape", "AddFullyConnected", "AddSoftmax", "AddTanh")
CONTRACT = contract_of(modelkit.default_spec(), "TANH")


@dataclass(frozen=True)
class Written:
    """A way to write the call of a method, and whether it counts."""

    text: str
    counts: bool


WAYS = st.sampled_from(
    [
        Written("  if (r.{}() != kTfLiteOk) {{ return; }}\n", True),
        Written("  r->{} (tflite::Register());\n", True),
        Written('  log("//");  r.{}();\n', True),
        Written("  // r.{}();\n", False),
        Written("  /* r.{}(); */\n", False),
        Written('  log("{}()");\n', False),
        Written("#if 0\n  r.{}();\n#endif\n", False),
    ]
)


@given(st.dictionaries(st.sampled_from(CALLS), WAYS), st.randoms(use_true_random=False))
def test_exactly_what_is_not_called_is_missing(ways, random) -> None:
    calls = list(ways.items())
    random.shuffle(calls)
    source = "".join(way.text.format(call) for call, way in calls)
    missing = sorted(call for call in CALLS if call not in ways or not ways[call].counts)
    if missing:
        with pytest.raises(Refusal) as refusal:
            check_resolver(source, "inference.cpp", CONTRACT)
        assert refusal.value.where == "inference.cpp"
        assert refusal.value.what == (
            f"the resolver lacks what the contract says is linked: {', '.join(missing)}"
        )
    else:
        check_resolver(source, "inference.cpp", CONTRACT)


def test_all_operators_at_once() -> None:
    check_resolver("static tflite::AllOpsResolver r;", "inference.cpp", CONTRACT)
    check_resolver("if (tmd::RegisterOperators(r) != kTfLiteOk) {", "inference.cpp", CONTRACT)
    with pytest.raises(Refusal):
        check_resolver("// not AllOpsResolver\n", "inference.cpp", CONTRACT)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("mine", 'AddCustom("mine", ...)'),
        ("SignalWindow", "AddWindow"),  # one that TFLM has: either way
    ],
)
def test_a_custom_operator_of_the_model(name, call) -> None:
    contract = contract_of(modelkit.with_operator(modelkit.default_spec(), name))
    builtins = "".join(f"r.{c}();" for c in CALLS[:-1])
    with pytest.raises(Refusal) as refusal:
        check_resolver(builtins, "inference.cpp", contract)
    assert refusal.value.what.endswith(f"is linked: {call}")
    check_resolver(f'{builtins} r.AddCustom("{name}", &registration);', "inference.cpp", contract)
    if "..." not in call:
        check_resolver(f"{builtins} r.{call}();", "inference.cpp", contract)
