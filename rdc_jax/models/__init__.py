"""Networks only: Flax modules that hold parameters and nothing else."""
