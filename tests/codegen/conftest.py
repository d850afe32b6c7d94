"""Fixtures that several behaviours share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "samples" / "host" / "models"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def digits() -> Path:
    """Folder of the digits CNN: base, target, and targets that its firmware must refuse."""
    return MODELS / "digits"


@pytest.fixture(scope="session")
def sst() -> Path:
    """Folder of the sea-surface temperature autoencoder: base and target."""
    return MODELS / "sst"
