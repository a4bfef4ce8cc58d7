"""What parts of `gstalker bench` compare with each other, and how it is measured."""
