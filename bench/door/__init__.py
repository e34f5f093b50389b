"""What stands behind the front door, `bench/__main__.py`: names and mistakes, the pipeline, the doctor.

Nothing here trains, measures or draws, and no room imports it. Open `mistakes.py` first.
"""
