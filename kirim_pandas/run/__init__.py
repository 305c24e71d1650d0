"""The run loop: batches out, counts back, told as events; no pandas, no HTTP."""
