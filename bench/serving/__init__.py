"""What the measurements of a running server share: an avatar of any size, a server in a process of its own, a voice."""
