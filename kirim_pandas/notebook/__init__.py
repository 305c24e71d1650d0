"""What people watch and click: bars, jobs, the panel; it shows a run and decides nothing of it."""
