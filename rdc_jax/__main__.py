"""`python -m rdc_jax`, the same as `rdc`."""

import sys

from rdc_jax.cli.main import main

sys.exit(main())
