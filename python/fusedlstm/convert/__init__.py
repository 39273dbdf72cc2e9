"""Weights from other libraries, and into them."""
