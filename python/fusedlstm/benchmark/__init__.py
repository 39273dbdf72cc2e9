"""The honest benchmark: one layer beside the same computation by others, and beside the machine.

``python -m fusedlstm bench`` runs it. Clocks drift and neighbors make noise, so every round times
each library once and then a burst of the multiply-add loop, and only figures of the same round are
compared.
"""
