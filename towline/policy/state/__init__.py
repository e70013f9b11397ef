"""What one partition of the log folds into: tags, images with their facts, and what is still to be judged."""
