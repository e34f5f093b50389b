"""From numbers and stored codes to pictures.

Nothing here computes a measurement. Open `drawing.py` first.
"""
