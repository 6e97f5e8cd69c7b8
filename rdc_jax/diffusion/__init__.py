"""Mathematics only: schedule, universal quantisation, preconditioning, sampling, losses."""
