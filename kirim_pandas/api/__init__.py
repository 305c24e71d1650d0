"""The service: its words, its errors, its pace, and the one module that talks to it."""
