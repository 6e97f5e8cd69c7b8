"""Everything between file bytes and symbols: integers on the host, NumPy and constriction only."""
