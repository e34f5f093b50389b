"""From numbers and stored arrays to pictures, the same bytes for the same numbers.

Nothing here computes a measurement, and no picture is kept that could be drawn again. Open `drawing.py` first.
"""

import os

# A notebook's backend, or one that does not exist, is nobody's wish here; matplotlib reads this when it is imported.
os.environ["MPLBACKEND"] = "agg"
