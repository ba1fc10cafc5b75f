"""What is done: the rules behind every operation. It decides; the store writes and the server speaks."""
