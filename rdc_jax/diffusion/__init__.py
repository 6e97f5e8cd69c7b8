"""Mathematics: schedule, universal quantisation, preconditioning, sampling, losses."""
