"""What drives an avatar besides requests: microphone, standard input, face capture over UDP."""
