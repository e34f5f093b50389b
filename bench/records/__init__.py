"""What a run leaves on disk, whole or absent, and whether it is still true.

Nothing here trains, measures or draws. Open `freshness.py` first.
"""
