"""The autoencoder, its loss and the one loop that trains it, for every method.

What is measured afterwards is in `evaluate`, the penalties are in `regularizers`. Open `objective.py` for the loss,
`loop.py` for the loop.
"""
