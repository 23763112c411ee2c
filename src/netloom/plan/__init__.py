"""Steps, what they will do, and which of them are needed."""
