"""What one can do: check everything, put the parts together, go."""
