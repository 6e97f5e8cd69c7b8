"""Importance masks: shapes given in numbers, and what is found in the picture itself."""
