"""Helpers of all packages: validation, warnings, callbacks, chunks of arrays, rollback."""
