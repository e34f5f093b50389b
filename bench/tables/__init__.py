"""From the tidy table to numbers that a reader compares: statistics, tables, answers.

Free of torch; nothing here draws. Open `experiment_tables.py` first.
"""
