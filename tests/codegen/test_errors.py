"""Refusals pass between processes as they are."""

from __future__ import annotations

import copy
import pickle

import pytest

from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.keys.private import NeedsPassword
from tinymldelta.wire.constants import STATUSES, Status


@pytest.mark.parametrize("fix", ["", "give more"])
def test_a_refusal_comes_out_of_a_process_as_it_went_in(fix: str) -> None:
    was = Refusal("v.npz", "70 samples are too few", fix)
    for found in (pickle.loads(pickle.dumps(was)), copy.copy(was)):
        assert type(found) is Refusal and str(found) == str(was)
        assert (found.where, found.what, found.fix) == (was.where, was.what, was.fix)


@pytest.mark.parametrize(("detail", "fix"), [("", ""), ("needs CONV_2D v5", ""), ("a", "b")])
def test_so_does_what_a_device_says(detail: str, fix: str) -> None:
    was = PatchRefused("x.tmd", Status.ARENA, detail, fix)
    found = pickle.loads(pickle.dumps(was))
    assert type(found) is PatchRefused and found.status is Status.ARENA and str(found) == str(was)
    assert (found.where, found.what, found.fix) == (was.where, was.what, was.fix)
    assert fix or found.fix == STATUSES[Status.ARENA].fix


def test_so_does_one_that_has_its_own_words() -> None:
    """A subclass whose __init__ takes something else."""
    was = NeedsPassword("fleet.pem")
    found = pickle.loads(pickle.dumps(was))
    assert type(found) is NeedsPassword and (found.where, str(found)) == ("fleet.pem", str(was))
