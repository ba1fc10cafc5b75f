"""What is said: the records, the table of operations and the strict reading of requests. Pure data."""
