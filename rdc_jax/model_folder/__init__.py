"""Models and fusion modules on disk: config, weights, integer tables, identity."""
