"""Prompts, zero-shot scores, grounding and the supervised reference: the stages `score` and `probe`."""
