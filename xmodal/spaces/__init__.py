"""The feature spaces of a library and the code that each one uses."""
