"""Who was skipped? Counts in, outcomes out; numpy only."""
