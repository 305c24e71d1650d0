"""What people watch and click."""
