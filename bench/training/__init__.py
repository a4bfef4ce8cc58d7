"""What trains avatars to compare them: turned heads, covered faces."""
