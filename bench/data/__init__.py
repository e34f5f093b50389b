"""Where images come from, how they are verified, split and dealt out in batches, and which of them have labels.

Nothing here knows a model. Open `datasets.py` first.
"""
