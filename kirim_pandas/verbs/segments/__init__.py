"""Labels that keep in step with segments, and runs that take another back."""
