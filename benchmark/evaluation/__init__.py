"""Prompts, zero-shot scores, grounding and the supervised ceiling."""
