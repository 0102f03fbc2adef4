"""How fast the shop sells, beside the least that any shop would have to do: `python -m tests.bench`.

Everything runs as it would in service: gunicorn, real sockets, real databases that write to the
disk before they say yes. Nothing is asserted of a time; times are printed, and ratios of times taken
side by side.
"""
