"""Receives avatars: the connection, the clock, what to show and to play when."""
