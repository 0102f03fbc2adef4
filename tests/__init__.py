"""Tests of the shop, the sandbox, and both together; tests/README.md tells of them."""

import os
import sys

# Some environments forbid to keep what is compiled. Each process that a test starts would compile all anew,
# which is more work than most tests are.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
