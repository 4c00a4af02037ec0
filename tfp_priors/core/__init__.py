"""What the parts of a model stand on: arguments kept, gradients scaled, replicas."""
