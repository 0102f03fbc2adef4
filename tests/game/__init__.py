"""The interface for the game."""
