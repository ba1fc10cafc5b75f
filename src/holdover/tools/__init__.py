"""What the service does itself when a model asks for it: running code, and looking things up."""
