"""What several tests share: servers that count, misbehave or remember, and whole scenes."""
