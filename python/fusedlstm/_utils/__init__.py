"""Helpers of several packages: validation, warnings, callbacks, chunks of arrays, rollback."""
