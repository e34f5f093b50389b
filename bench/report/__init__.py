"""From tables and pictures to the page, and where each number comes from.

Nothing here computes a statistic. Open `page.py` first; its template is in `templates/`.
"""
