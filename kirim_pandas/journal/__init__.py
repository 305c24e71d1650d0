"""The write-ahead journal: each call is on the disk before it is sent."""
