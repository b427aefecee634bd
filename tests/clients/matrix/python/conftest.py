"""Runs the tests of a class once for each of its path families."""

import pytest

pytest.register_assert_rewrite("checks")


def pytest_generate_tests(metafunc):
    if "family" in metafunc.fixturenames and metafunc.cls is not None:
        metafunc.parametrize("family", metafunc.cls.families)
