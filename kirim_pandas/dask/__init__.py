"""The verbs for Dask DataFrames: workers read and join, one client sends."""
