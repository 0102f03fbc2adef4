"""Selling by plan, by charge and by use, to shop owners at Color Me.

`periods` and `amounts` are rules and nothing else; `plan_file` reads what the operator offers.
"""
