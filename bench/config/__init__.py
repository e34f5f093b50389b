"""What a config file may say, and which runs follow from it.

Nothing here reads images, results or code. Open `schema.py` first.
"""
