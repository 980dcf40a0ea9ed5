"""The little of signalrcore that the tests use; the package ships no types."""
