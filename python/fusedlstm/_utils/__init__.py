"""Validation, warnings and representations that all packages share."""
