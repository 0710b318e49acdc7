"""The working directory of the evaluation's tests."""

from tests.benchmark.evaluation.conftest import here, template

__all__ = ["here", "template"]
