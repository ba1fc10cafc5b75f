"""What is remembered: the store's protocol, and the databases behind it."""
