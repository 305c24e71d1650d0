"""The job: contact positions in, outcomes out.  No pandas, no HTTP."""
