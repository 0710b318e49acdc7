"""The harness: one sub-command per DVC stage (``python -m benchmark STAGE``).

Imports run one way: benchmark -> baselines -> offclip. Nothing heavy is imported here.
"""

__version__ = "0.1.0"
