"""In charge of measuring: wall-clock figures, which never stand in tests."""
