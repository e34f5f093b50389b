"""What a config file may say, and which runs follow from it.

Nothing here reads images or results; of plug-ins it reads the source. Open `schema.py` first, then `combinations.py`:
what one setting asks of another.
"""
