"""What is read of the service: contacts, labels, connected numbers; and rows matched to them."""
