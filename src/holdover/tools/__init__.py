"""What a run may act with: file search, the code interpreter. Each is a folder with its protocol at its head."""
