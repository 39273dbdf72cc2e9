"""Adapters of the estimators to other libraries.

The modules ``fusedlstm.contrib.aeon`` and ``fusedlstm.contrib.sktime`` require the library of the
same name. They are not imported with this package.
"""
