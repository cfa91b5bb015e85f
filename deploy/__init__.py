"""What deployments need."""
