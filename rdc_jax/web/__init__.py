"""Pages that this machine serves to its own browser: whom they answer, and how."""
