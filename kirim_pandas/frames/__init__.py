"""Pandas in, pandas out: ids from a frame, a result frame from outcomes, reports."""
