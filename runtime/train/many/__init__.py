"""Several avatars, trained beside each other, each in a process of its own."""
