"""Results of a benchmark run as JSON, tables, plots and one HTML page."""
