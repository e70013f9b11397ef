"""Copies that are interrupted anyhow, drawn by a seed: what is copied, what happens to it, and what must hold."""
