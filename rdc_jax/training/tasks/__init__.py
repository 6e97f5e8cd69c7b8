"""The tasks of training: networks, losses and exports, by kind of model (`task.Task`)."""
