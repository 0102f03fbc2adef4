"""The operator in, and a shop in which something has happened."""

import pytest
from flask import Flask

from tests.operators import Operator


@pytest.fixture
def operator(app: Flask) -> Operator:
    return Operator(app)
