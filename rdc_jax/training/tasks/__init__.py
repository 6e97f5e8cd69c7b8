"""What a run trains: its networks, losses and validation, by kind of model."""
