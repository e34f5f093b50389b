"""The protocol behind each kind of number: which split, how many samples, which rule.

Nothing here changes a model, and no statistics over seeds are made. Open `protocols.py` first.
"""
