"""What is heard: bytes become typed requests for the engine, and its answers become bytes again."""
